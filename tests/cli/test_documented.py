"""docs/cli.md names every command, every option and every exit code; completion knows them too."""

import argparse
from pathlib import Path

import pytest

from console.cli import exits
from console.cli.arguments import COMMANDS, build
from tests.cli.conftest import Warroom

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


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
