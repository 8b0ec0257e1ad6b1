"""Every kind can be made by its name, and says in words what is wrong with its options."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from console.containment.actuators.registry import KINDS, make
from console.refusal import Refused


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
