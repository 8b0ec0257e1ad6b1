"""From the words of a command line to what they ask for; mistakes in one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from console.cli import exits
from console.cli.arguments import COMMANDS, Parser
from console.plain import visible


def _shared(name: str, add: Callable[..., Any], default: Any) -> None:
    match name:
        case "home":
            add(
                "--home",
                metavar="DIR",
                default=default,
                help="the home directory (default: $WARROOM_HOME, or XDG)",
            )
        case "incident":
            add(
                "--incident",
                metavar="INC",
                default=default,
                help="which incident (default: the newest open one)",
            )
        case "as":
            add(
                "--as",
                dest="actor",
                metavar="NAME",
                default=default,
                help="who you are (default: me.name, or your login)",
            )
        case "role":
            add(
                "--role",
                metavar="ROLE",
                default=default,
                help="your role, where you hold none in the incident",
            )
        case "playbooks":
            add(
                "--playbooks",
                metavar="DIR",
                default=default,
                help="a directory of documents over the shipped ones (beside playbooks.directory)",
            )
        case "json":
            add("--json", action="store_true", default=default or False, help="print JSON, one value a line")


class _Parser(Parser):
    def error(self, message: str) -> NoReturn:
        said = visible(message, 400)
        end = "" if said.endswith("?") else "."
        self.exit(exits.USAGE, f"warroom: {said}{end} See `{self.prog} --help`.\n")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that costs more than a whole short command."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, **options)

    def __call__(self, parser: Parser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"warroom {version('warroom')}")
        parser.exit(exits.OK)


def build(only: str = "") -> Parser:
    """Return the parser of all commands, or of one, which is quicker."""
    parser = _Parser(
        prog="warroom",
        description="War room for incidents caused by AI agents. Without a command it opens the console.",
        epilog="`warroom COMMAND --help` explains a command. Exit codes: 0 done, 1 a check found something "
        "wrong, 2 wrong usage, 3 refused, 4 the store failed, 5 the output failed, 130 interrupted.",
    )
    parser.add_argument("--version", action=_Version, help="print the version")
    for name in ("home", "incident", "as", "role", "playbooks", "json"):
        _shared(name, parser.add_argument, None)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", parser_class=_Parser
    )
    for name, command in COMMANDS.items():
        if only in ("", name):
            made = commands.add_parser(name, help=command.summary, description=_sentence(command.summary))
            command.arguments(made)
            for shared in command.common:
                # Suppressed, so that an option before the command is not overwritten by the one after it.
                _shared(shared, made.add_argument, argparse.SUPPRESS)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; prints and exits on --help, --version and mistakes."""
    named = _command(argv)
    if named and named not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(named, COMMANDS, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        _Parser(prog="warroom").error(f"There is no command `{visible(named, 40)}`{hint}")
    options, rest = build(named).parse_known_args(_guarded(argv, named))
    more = next((name for name in ("words", "reason") if isinstance(getattr(options, name, None), list)), "")
    if rest and more and not any(word.startswith("-") for word in rest):
        # What comes behind an option, as in `play run --for-real STEP` or `roster revoke ID --since -2h stolen`.
        setattr(options, more, [*getattr(options, more), *rest])
        rest = []
    if rest:
        build(named).error(f"I do not know {' '.join(rest)}")
    if not options.command:
        options = build("open").parse_args([*argv, "open"])
    return options


def _command(argv: Sequence[str]) -> str:
    """The first word that is neither an option nor an option's value."""
    words = iter(argv)
    for word in words:
        if word in ("--home", "--incident", "--as", "--role", "--playbooks"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _guarded(argv: Sequence[str], named: str) -> list[str]:
    """Let `note -5m text`, `--at -5m` and `--since -2h` through: times ago begin like options."""
    words: list[str] = []
    for word in argv:
        ago = len(word) > 2 and word[0] == "-" and word[1].isdigit()
        if ago and words and words[-1] in ("--at", "--since"):
            words[-1] += f"={word}"
        elif ago and named == "note":
            words.append(f" {word}")  # with a space before it, it is no option; the scribe drops the space
        else:
            words.append(word)
    return words


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."
