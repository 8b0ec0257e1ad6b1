"""Whatever form a person gave the configuration, a command adds to it and keeps the rest."""

import tomllib
from pathlib import Path

import pytest
import tomlkit

from console.cli.settings import add, document, get, put, write
from console.config import load
from console.refusal import Refused

FORMS = [
    "",
    "# only a comment\n",
    '[playbooks]\nlinks = {slos = "a"}\n',
    'playbooks.links.slos = "a"\n',
    '[playbooks.links]\nslos = "a"\n',
    'authority = {halt-all = ["x"]}\n',
    'agent = [{name = "a"}]\n',
    "agent = []\n",
    '\r\n[me]\r\nname = "a"\r\n',
    '[[agent]]\nname = "a"\n# the end of it\n',
    "[tripwires]\n# c\n\n# end\n",
    '[playbooks]\ndirectory = "x"\n[me]\nname = "z"',
]


@pytest.mark.parametrize("text", FORMS)
def test_every_form_of_a_section_can_be_added_to(text: str) -> None:
    before = tomllib.loads(text)
    tree = tomlkit.parse(text)
    put(tree, ("playbooks", "links", "eval-plan"), "b")
    put(tree, ("authority", "halt-all"), ["y"])
    put(tree, ("organisation", "time zone"), ["q"])
    add(tree, "agent", {"name": "n", "tools": ["a", "b"]})
    add(tree, "agent", {"name": "m"})
    after = tomllib.loads(tomlkit.dumps(tree))
    assert after.pop("authority") == {"halt-all": ["y"]}
    assert after.pop("organisation") == {"time zone": ["q"]}
    assert after.pop("agent") == [*before.pop("agent", []), {"name": "n", "tools": ["a", "b"]}, {"name": "m"}]
    links = after["playbooks"].pop("links")
    assert links == {**before.get("playbooks", {}).pop("links", {}), "eval-plan": "b"}
    before.pop("authority", None)
    assert {name: part for name, part in after.items() if part} == {n: p for n, p in before.items() if p}
    assert [
        line for line in text.splitlines() if line.startswith("#") and line not in tomlkit.dumps(tree)
    ] == []


@pytest.mark.parametrize("text", ["agent = 7\n", '[agent]\nname = "a"\n', "agent = [1, 2]\n"])
def test_what_is_no_list_of_sections_is_not_added_to(text: str) -> None:
    with pytest.raises(Refused, match="no list of sections"):
        add(tomlkit.parse(text), "agent", {"name": "n"})


def test_a_value_in_the_place_of_a_section_is_not_overwritten() -> None:
    tree = tomlkit.parse("organisation = 7\n")
    with pytest.raises(Refused, match="is a value, not a section"):
        put(tree, ("organisation", "on-call"), ["x"])
    assert get(tree, ("organisation",)) == 7
    assert get(tree, ("organisation", "on-call")) is None


def test_a_new_mistake_is_taken_back_and_an_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[tripwires]\ncost_factr = 2.0\n")
    write(path, '[me]\nname = "ana"\n\n' + path.read_text())
    text = path.read_text()
    with pytest.raises(Refused, match="page_at"):
        write(path, text + '\npage_at = "never"\n')
    assert path.read_text() == text
    assert (load(path).me.name, len(load(path).problems)) == ("ana", 1)
    with pytest.raises(Refused):
        write(tmp_path / "new.toml", "home = 7\n")
    assert not (tmp_path / "new.toml").exists()


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="not TOML"):
        document(tmp_path / "config.toml")
    with pytest.raises(Refused, match="cannot be read"):
        document(tmp_path)
