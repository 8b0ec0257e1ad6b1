"""Every kind can be made by its name, and says in words what is wrong with its options."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from console.config import load
from console.containment.actuators import catalogue
from console.containment.actuators.registry import KINDS, make
from console.containment.points import Points
from console.events import MoveOrdered
from console.refusal import Refused
from tests.actuators.test_tls import issued


def test_an_unknown_kind_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Did you mean `manual`"):
        make("manuel", {}, secrets={}, config_dir=tmp_path)
    with pytest.raises(Refused, match="There are: http"):
        make("../../x", {}, secrets={}, config_dir=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_names_what_it_lacks(kind: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"option|token"):
        make(kind, {}, secrets={}, config_dir=tmp_path)
    with pytest.raises(Refused, match="There is no option `nonsense`"):
        make(kind, {"nonsense": 1}, secrets={}, config_dir=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented_with_all_its_options(kind: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "actuators.md").read_text()
    section = text.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    assert section, kind
    module = importlib.import_module(f"console.containment.actuators.{kind.replace('-', '_')}")
    own = set(module.Options.__struct_fields__) - {"token_env", "token_file", "ca_file", "cleartext"}
    for name in own:
        assert f"`{name}`" in section or f"{name} =" in section or f".{name}]" in section, name


def sections() -> dict[str, str]:
    """The first configuration of each section of the page for operators."""
    text = (Path(__file__).parents[2] / "docs" / "actuators.md").read_text()
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    found = {part.partition("\n")[0]: re.search(r"```toml\n(.*?)```", part, re.DOTALL) for part in parts}
    return {name: block[1] for name, block in found.items() if name in KINDS and block is not None}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the configurations of the page find what they name: programs, secrets, an authority."""
    for name in ("systemctl", "agent-is-stopped", "held-actions"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / ".config" / "warroom" / "cloud-run-token"
    token.parent.mkdir(parents=True)
    token.write_text("token-0123456789")
    token.chmod(0o600)
    (tmp_path / "cluster-ca.pem").write_text(issued("authority", [])[0])
    for section in sections().values():
        for name in re.findall(r'"([A-Z_]+(?:TOKEN|KEY))"', section):
            monkeypatch.setenv(name, "secret-0123456789")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_every_documented_configuration_works(kind: str, place: Path) -> None:
    file = place / "config.toml"
    file.write_text(sections()[kind])
    config = load(file)
    assert not config.problems
    (setting,) = config.points
    assert setting.actuator == kind
    points = Points(config)
    assert not points.problems
    assert points.verbs(setting.name)
    for verb in points.verbs(setting.name) & catalogue.stopping():
        order = MoveOrdered("00112233445566aa", verb, reason="double refunds")
        targets = points.targets(verb)
        assert targets
        for target in targets:
            plan = points.actuator(setting.name).plan(points.call(order, target))
            assert plan
            assert "Nothing is sent" not in plan
            assert "0123456789" not in plan.replace("00112233445566aa", "")
