"""docs/cli.md names every command, every option and every exit code; completion knows them too."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from console.cli import exits
from console.cli.arguments import COMMANDS
from console.cli.parsing import build, parse
from tests.cli.conftest import Warroom

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = (ROOT / "docs" / "cli.md").read_text()


def parser_of(command: str) -> argparse.ArgumentParser:
    (action,) = (each for each in build()._actions if isinstance(each, argparse._SubParsersAction))
    parser = action.choices[command]
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def section(command: str) -> str:
    return TEXT.split(f"### `warroom {command}`\n")[1].split("\n#")[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented(command: str) -> None:
    shared = TEXT.split("## Options of every command")[1].split("\n## ")[0]
    text = section(command) + shared
    options = [
        name for action in parser_of(command)._actions for name in action.option_strings if name != "-h"
    ]
    assert [name for name in options if f"`{name}" not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_is_documented_that_is_not_there(command: str) -> None:
    known = {name for action in parser_of(command)._actions for name in action.option_strings}
    listed = [
        line.split("`")[1].split()[0] for line in section(command).splitlines() if line.startswith("- `-")
    ]
    assert [name for name in listed if name not in known] == []


def test_every_exit_code_is_documented() -> None:
    codes = [value for name, value in vars(exits).items() if name.isupper()]
    assert [code for code in codes if f"| {code} |" not in TEXT] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(warroom: Warroom, shell: str) -> None:
    script = warroom.quick("completion", shell).out
    assert [command for command in COMMANDS if command not in script] == []


def test_every_command_explains_itself(warroom: Warroom) -> None:
    listed = warroom.quick("--help").out
    assert [command for command in COMMANDS if f" {command} " not in listed] == []
    assert "back-dates" in warroom.quick("note", "--help").out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_on_a_page_is_a_command_line_that_the_program_takes(page: Path) -> None:
    text = page.read_text()
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in (line for block in blocks for line in block.replace("\\\n", " ").splitlines()):
        if not line.startswith("warroom "):
            continue
        # Words behind two or more spaces explain the example.
        words = shlex.split(re.split(r"\s{3,}", line)[0].split("  #")[0], comments=True)
        options = parse(words[1:])  # leaves with a message of its own where it makes no sense
        assert options.command == words[1] or words[1].startswith("--"), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_sentence_names_is_there(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for named in re.findall(r"`warroom ([a-z][a-z-]*)([^`\\\\]*)`", prose):
        command, rest = named
        assert command in COMMANDS, f"{page.name}: warroom {command}"
        known = {name for action in parser_of(command)._actions for name in action.option_strings}
        # What stands behind `--` is a command of somebody else.
        options = re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", rest.split(" -- ")[0])
        assert [name for name in options if name not in known] == [], f"{page.name}: {' '.join(named)}"
