"""Standard output that fails, is closed, or whose reader goes: no traceback, and the record is not affected."""

import subprocess

import pytest

from tests.cli.conftest import Done, Warroom


def piped(warroom: Warroom, script: str) -> Done:
    """Run a line of shell in which `w` is the command."""
    w = " ".join(f"'{word}'" for word in warroom.command)
    done = subprocess.run(
        ["bash", "-c", f'w() {{ {w} "$@"; }}; {script}'],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=warroom.folder,
        env=warroom.environment,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "command", ["show", "log --all", "log --json", "export", "verify", "completion bash", "--version"]
)
def test_a_full_disk_behind_the_output_is_said_in_one_line(shared: Warroom, command: str) -> None:
    done = piped(shared, f"w {command} >/dev/full")
    assert done.code == 5
    assert done.err.startswith("warroom: Not everything could be printed (")
    assert len(done.err.splitlines()) == 1


def test_what_was_written_stays_on_the_record_when_the_answer_cannot_be_printed(declared: Warroom) -> None:
    assert piped(declared, "w note 'seen by nobody' >/dev/full").code == 5
    assert "seen by nobody" in declared.quick("log").out


@pytest.mark.parametrize(
    "command", ["show", "log --all --system", "export --format jsonl", "completion bash"]
)
def test_a_reader_that_has_read_enough_is_no_error(shared: Warroom, command: str) -> None:
    done = piped(shared, f"w {command} | head -c 1; exit ${{PIPESTATUS[0]}}")
    assert (done.code, len(done.out), done.err) == (0, 1, "")
    # A pipe whose reader was gone before the first byte.
    gone = piped(shared, f"exec 3> >(:); wait $!; w {command} >&3")
    assert (gone.code, gone.err) == (0, "")


@pytest.mark.parametrize("command", ["show", "log", "export", "--version"])
def test_without_any_output_there_is_nothing_to_say(shared: Warroom, command: str) -> None:
    done = piped(shared, f"w {command} >&-")
    assert (done.code, done.err) == (0, "")


def test_what_a_command_writes_after_it_has_shown_something_is_written_whoever_reads(
    declared: Warroom,
) -> None:
    """A form is shown before the decision is recorded, a probe before the remote is written down."""
    (declared.folder / "share").mkdir()
    gone = "exec 3> >(:); wait $!;"
    assert piped(declared, f"{gone} w form severity --decide 4 --reason rehearsed >&3").code == 0
    assert piped(declared, f"{gone} w remote add team 'dir:{declared.folder}/share' >&3").code == 0
    assert declared.quick("show", "--json").values[0]["severity"] == 4
    assert declared.quick("remote", "--json").values[0]["name"] == "team"


def test_a_decision_is_recorded_although_the_form_could_not_be_printed(declared: Warroom) -> None:
    done = piped(declared, "w form severity --decide 4 --reason rehearsed >/dev/full")
    assert (done.code, done.err.count("\n")) == (5, 1)
    assert declared.quick("show", "--json").values[0]["severity"] == 4


def test_following_ends_when_its_reader_has_gone(declared: Warroom) -> None:
    assert piped(declared, "exec 3> >(:); wait $!; w log --follow >&3").code == 0
