"""The kinds of actuators: each is one module of this package, with its `Options` and its `Actuator`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from console.containment.actuator import Actuator
from console.containment.actuators.options import Setting, read
from console.refusal import Refused

KINDS: Mapping[str, str] = {
    "http": "any system with an HTTP API: requests as templates",
    "command": "a program with its arguments, without a shell",
    "flag-file": "a file of flags in flagd's format",
    "launchdarkly": "a flag of LaunchDarkly",
    "unleash": "a flag of Unleash",
    "litellm": "a key, a team or a customer of LiteLLM Proxy, on every instance",
    "kubernetes": "a workload, a job or the egress of pods in a Kubernetes cluster",
    "mcp-gateway": "an MCP server behind a ContextForge gateway",
    "a2a-gateway": "an agent of another party behind a ContextForge gateway",
    "cloud-run": "instances or traffic of a Cloud Run service",
    "http-queue": "actions that wait in a queue with an HTTP API: held, listed and decided",
    "command-queue": "actions that wait in a queue, with programs that list and decide them",
    "manual": "a step that a person does and confirms",
}
"""What each kind is for, in one line."""


def make(
    kind: str,
    options: Mapping[str, object],
    *,
    secrets: Mapping[str, str] = os.environ,
    config_dir: Path,
) -> Actuator:
    """Return an actuator as the configuration describes it. Nothing is sent, and no connection is made.

    Args:
        kind: one of `KINDS`.
        options: the table `options` of the point.
        secrets: the environment, which holds the secrets.
        config_dir: the directory of the configuration, where relative paths begin.

    Raises:
        Refused: an option is wrong or missing, or a secret cannot be had; the sentence names it, and holds no secret.
    """
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, n=1, cutoff=0.6)
        raise Refused(
            f"There is no actuator {kind[:80]!r}.",
            f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(KINDS)}.",
        )
    # Imported when used: a console brings along the clients of those systems only that it stops.
    module = importlib.import_module(f"console.containment.actuators.{kind.replace('-', '_')}")
    made = module.Actuator(read(module.Options, options), Setting(secrets, config_dir))
    return cast(Actuator, made)
