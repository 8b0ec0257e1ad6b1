"""Whatever a target, an agent or a reason is called: a request keeps its shape, or is not made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.containment.actuator import Declined
from console.containment.actuators.api import Api
from console.containment.actuators.registry import make
from tests.actuators.conftest import ENVIRONMENT, call

URL = "https://system.example.com"
KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "launchdarkly": (
        {"project": "p", "environment": "e"},
        r"/api/v2/flags/p/([^/?#]+)\?ignoreConflicts=true",
    ),
    "unleash": (
        {"project": "p", "environment": "e"},
        r"/api/admin/projects/p/features/([^/?#]+)/environments/e/off",
    ),
    "litellm": ({"instances": [URL], "by": "team"}, r"/team/block()"),
    "kubernetes": (
        {},
        r"(?:/apis/(?:apps|batch|networking\.k8s\.io)/v1/namespaces/default/\w+/(?:warroom-deny-)?([a-z0-9.-]+)(?:/scale)?"
        r"\?fieldManager=warroom(?:&force=true)?|/api/v1/namespaces/default/pods\?labelSelector=%3Cits%20pods%3E())",
    ),
    "mcp-gateway": ({}, r"/gateways/([^/?#]+)/state\?activate=false"),
    "a2a-gateway": ({}, r"/a2a/([^/?#]+)/state\?activate=false"),
    "cloud-run": (
        {"project": "p", "location": "l"},
        r"/v2/projects/p/locations/l/services/([a-z0-9-]+)\?updateMask=[A-Za-z.,]+",
    ),
}
"""What each kind needs, and what its addresses look like; the group is the target."""

NAMES = st.text(max_size=40) | st.sampled_from(
    [
        "refunds", "deployment/refunds", "cronjob/nightly", "egress/refunds", "..", "a/../b", "a?b=1", "a#b", "a&b",
        "%2e%2e%2f", '"}], "x": [{"', "a\r\nX: y", "\\..\\", "\ud800", "ünï", "a b", "{target}", "\x00",
    ]
)  # fmt: skip


def keys(value: Any) -> Any:
    """A JSON value without its texts: what a value must not change."""
    match value:
        case dict():
            return {name: keys(each) for name, each in value.items()}
        case list():
            return [keys(each) for each in value]
        case str():
            return ""
        case _:
            return value


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(target=NAMES, agent=NAMES, reason=NAMES)
def test_every_request_keeps_its_shape(kind: str, target: str, agent: str, reason: str) -> None:
    more, shape = KINDS[kind]
    options = {"url": URL, "token_env": "TEST_TOKEN", **more}
    actuator = make(kind, options, secrets=ENVIRONMENT, config_dir=Path())
    assert isinstance(actuator, Api)
    what = call(target=target, agent=agent, reason=reason)
    try:
        requests = actuator.requests(what)
    except Declined:
        return
    for request in requests:
        found = re.fullmatch(re.escape(URL) + shape, request.url)
        assert found is not None, request.url
        name = next(filter(None, found.groups()), "")
        assert not name or unquote(name) in (target, target.rpartition("/")[2])
        assert name not in (".", "..")
        for header, text in request.headers.items():
            assert text.isprintable(), header
            assert text.isascii(), header
        if request.body:
            # The same as for a harmless call of the same kind of target.
            kind_of = target.rpartition("/")[0]
            plain = call(target=f"{kind_of}/x" if kind_of else "x", agent="x", reason="x")
            known = [json.loads(each.body) for each in actuator.requests(plain) if each.body]
            assert keys(json.loads(request.body)) in [keys(each) for each in known]
