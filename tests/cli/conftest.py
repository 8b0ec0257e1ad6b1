"""Runs the real command line in processes of its own, on temporary homes."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from console.cli import run


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def values(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Warroom:
    """`warroom` with a home and a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("WARROOM_")},
            "WARROOM_HOME": str(self.home),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self.command = [sys.executable, "-m", "console.cli"]

    def __call__(self, *arguments: str, stdin: str = "", more: Mapping[str, str] | None = None) -> Done:
        done = subprocess.run(
            [*self.command, *arguments],
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            env={**self.environment, **(more or {})},
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *arguments: str, stdin: str = "") -> Done:
        done = self(*arguments, stdin=stdin)
        assert done.code == 0, done
        return done

    def within(self, *arguments: str, stdin: str = "", more: Mapping[str, str] | None = None) -> Done:
        """Run the same command line in this process: four times as quick, for tests of many commands."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {**self.environment, **(more or {})}, clear=True),
            mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode("utf-8", "surrogateescape")))),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                code = run(arguments)
            except SystemExit as done:
                code = done.code if isinstance(done.code, int) else 1
        return Done(code, out.getvalue(), err.getvalue())

    def quick(self, *arguments: str, stdin: str = "") -> Done:
        done = self.within(*arguments, stdin=stdin)
        assert done.code == 0, done
        return done


@pytest.fixture
def warroom(tmp_path: Path) -> Warroom:
    return Warroom(tmp_path)


@pytest.fixture
def declared(warroom: Warroom) -> Warroom:
    warroom.quick("--as", "ana", "declare", "refunds in a loop")
    return warroom


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Warroom:
    """A home with one incident, for tests that change nothing in it."""
    warroom = Warroom(tmp_path_factory.mktemp("shared"))
    warroom.quick("declare", "refunds in a loop")
    return warroom
