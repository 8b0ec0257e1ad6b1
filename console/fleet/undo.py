"""Undoing one effect from outside: `DIR/undo CLASS ID`, the program that the fleet's configuration names as reversal."""

from __future__ import annotations

import sys
from pathlib import Path

from console.fleet.systems import EFFECT_ID, SYSTEMS, Left

SCRIPT = "undo"
"""The program in the fleet's directory."""
_USAGE = "undo [--dry-run | --check] CLASS ID"


def write(root: Path) -> None:
    """Write the program: it runs with this interpreter and this code, whatever the environment is."""
    code = (
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        f"from pathlib import Path\nfrom console.fleet.undo import main\nmain(Path({str(root)!r}), sys.argv[1:])\n"
    )
    path = root / SCRIPT
    # `exec` from a shell: the first line of a script holds no path with blanks.
    path.write_text(f'#!/bin/sh\nexec {_quoted(sys.executable)} -I -S -c {_quoted(code)} "$@"\n', "utf-8")
    path.chmod(0o700)


def carry_out(root: Path, number: int, effect: str, *, undo: bool) -> Left:
    """Undo an effect, or only look what is left of it."""
    system = SYSTEMS[number]
    if undo:
        system.undo(root, effect)
    return system.left(root, effect)


def gone(left: Left) -> bool:
    """Whether nothing is left to undo."""
    return left.state in ("undone", "substituted")


def main(root: Path, words: list[str]) -> None:
    """Run the program and exit: 0 when it is undone or, with --dry-run, in any case; 1 when not; 2 for nonsense."""
    options = {word for word in words if word.startswith("--")}
    rest = [word for word in words if word not in options]
    sensible = len(rest) == 2 and rest[0] in map(str, SYSTEMS) and EFFECT_ID.fullmatch(rest[1])
    if not sensible or not options <= {"--dry-run", "--check"}:
        print(f"usage: {_USAGE}", file=sys.stderr)
        sys.exit(2)
    left = carry_out(root, int(rest[0]), rest[1], undo=not options)
    print(f"{rest[1]}: {left.state}: {left.note}")
    for who in left.seen:
        print(f"seen by {who}")
    sys.exit(0 if gone(left) or "--dry-run" in options else 1)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
