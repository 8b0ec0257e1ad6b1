"""What a fresh clone promises: two commands, locked dependencies, a licence."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / ".ci" / "requirements.lock", ROOT / ".ci" / "requirements-dev.lock"]
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_dependency_is_pinned_and_hashed_and_no_registry_is_named(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE), "an option of the installer would name a place"
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 10
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==\S+", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_what_runs_the_product_is_locked_alike_for_the_tests() -> None:
    pins = [set(re.findall(r"^([A-Za-z0-9._\[\]-]+==\S+)", lock.read_text(), re.MULTILINE)) for lock in LOCKS]
    assert pins[0] <= pins[1]


@pytest.mark.parametrize("target", ["run", "demo", "test", "check", "bench", "lock"])
def test_make_knows_its_targets(target: str) -> None:
    assert re.search(rf"^{target}:.* ## ", MAKEFILE, re.MULTILINE)


def test_the_readme_names_the_two_commands_and_ci_runs_them() -> None:
    readme = (ROOT / "README.md").read_text()
    assert {"make run", "make test"} <= set(re.findall(r"make \w+", readme.split("```")[1]))
    assert {"make check", "make test"} <= set((ROOT / ".ci" / "run").read_text().splitlines())


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(("target", "does"), [("run", "demo --headless"), ("demo", "demo")])
def test_without_a_terminal_make_plays_the_demo(tmp_path: Path, target: str, does: str) -> None:
    """The recipes as they are, with a program that only says how it was called."""
    program = tmp_path / "warroom"
    program.write_text('#!/bin/sh\necho "called with: $*"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", "-o", ".venv/.run", target, f"BIN={tmp_path}"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"called with: {does}"), done
