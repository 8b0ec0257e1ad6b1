"""The configuration: defaults without a file, every mistake named, and never a refusal to start."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import config
from console.config import Config, load
from console.tripwires.rules import Rules
from data.clock import parse_iso
from tests.cli.conftest import Warroom

WRONG = """home = "/tmp/x"
profil = "merged"

[me]
name = 5

[intake]
port = 99999
prot = 1

[tripwires]
review_minimum = "30"
guard = "x"
cost_floor = 2.5

[screen.keys]
"alert.ack" = "x"

[[agent]]
name = "a"
deny = "pay/*"

[[agent]]
tools = ["x"]

[[agent]]
name = "b"
valid_until = 2026-11-21T00:00:00

[[source]]
path = "~/x.jsonl"
"""


def written(folder: Path, text: str) -> Config:
    path = folder / "config.toml"
    path.write_text(text)
    return load(path)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WARROOM_CONFIG", "WARROOM_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


def test_no_file_is_needed() -> None:
    assert load() == Config()


def test_a_file_that_somebody_named_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARROOM_CONFIG", str(tmp_path / "none.toml"))
    (problem,) = load().problems
    assert "does not exist" in problem.what


def test_every_mistake_is_named_with_its_line_and_the_rest_is_used(tmp_path: Path) -> None:
    read = written(tmp_path, WRONG)
    assert [problem.line for problem in read.problems] == [2, 5, 8, 9, 12, 13, 21, 23, 28]
    near = {problem.line: problem.fix for problem in read.problems}
    assert near[2] == "Did you mean `profile`?"
    assert near[9] == "Did you mean `port`?"
    assert read.home == "/tmp/x"
    assert read.intake.port == 4318
    assert read.tripwires.cost_floor == 2.5
    assert read.tripwires.review_minimum == 30 * 10**9
    assert read.screen.keys == {"alert.ack": "x"}
    assert [agent.name for agent in read.agent] == ["a", "b"]
    assert read.source[0].path == "~/x.jsonl"


BROKEN = {
    "not TOML": (b"a = 1\nb = = 2\n", 2),
    "duplicate key": (b"home = '1'\n\nhome = '2'\n", 3),
    "not UTF-8": (b"home = 'x'\n# \xff\n", 2),
    "too large": (b"#" * (config.MAX_BYTES + 1), 0),
    "deep": (b"a = " + b"[" * 5000, 0),
}


@pytest.mark.parametrize(("raw", "line"), BROKEN.values(), ids=BROKEN)
def test_an_unreadable_file_leaves_the_defaults(tmp_path: Path, raw: bytes, line: int) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(raw)
    read = load(path)
    (problem,) = read.problems
    assert line in (0, problem.line)
    assert msgspec.structs.replace(read, path="", problems=()) == Config()


def test_a_directory_in_its_place_is_said(tmp_path: Path) -> None:
    assert "cannot be read" in load(tmp_path).problems[0].what


@given(st.binary(max_size=300))
def test_any_bytes_give_a_configuration(raw: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(raw)
        file.flush()
        assert isinstance(load(Path(file.name)), Config)


def test_internal_fields_are_not_settings(tmp_path: Path) -> None:
    read = written(tmp_path, 'path = "x"\nproblems = []\n"-path" = "y"\n')
    assert [problem.line for problem in read.problems] == [1, 2, 3]
    assert read.path == str(tmp_path / "config.toml")


def test_times_and_durations_become_nanoseconds(tmp_path: Path) -> None:
    read = written(
        tmp_path,
        '[tripwires]\nreview_minimum = "2 min"\n[[agent]]\nname = "a"\n'
        "valid_from = 2026-11-21\nvalid_until = 2026-12-01T00:00:00+01:00\ncost_ceiling = 0.1\n",
    )
    assert read.problems == ()
    assert read.tripwires.review_minimum == 120 * 10**9
    assert read.agent[0].valid_from == parse_iso("2026-11-21T00:00:00Z")
    (entry,) = (config.inventory(read) or pytest.fail("no inventory")).entries
    assert entry.cost_ceiling == 100_000_000
    assert read.agent[0].valid_until == parse_iso("2026-11-30T23:00:00Z")


def test_the_defaults_are_those_of_the_rules() -> None:
    assert config.rules(Config()) == Rules()
    assert config.inventory(Config()) is None


def test_settings_reach_the_rules(tmp_path: Path) -> None:
    read = written(tmp_path, '[tripwires]\ncost_floor = 0.07\n[routes]\ncost-rate = ["owner", "finance"]\n')
    rules = config.rules(read)
    assert rules.cost_floor == 70_000_000
    assert rules.route("cost-rate") == ("owner", "finance")
    assert rules.route("outcome") == ("operations",)


def test_the_home_is_named_by_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    configured = Config(home="/configured")
    assert config.home_path(Config()) == Path("/data/warroom")
    assert config.home_path(configured) == Path("/configured")
    monkeypatch.setenv("WARROOM_HOME", "/environment")
    assert config.home_path(configured) == Path("/environment")
    assert config.home_path(configured, "/given") == Path("/given")


def settings(kind: type[msgspec.Struct], prefix: str = "") -> dict[str, object]:
    """Every setting by its dotted name, with its default."""
    found: dict[str, object] = {}
    sections: dict[str, type[msgspec.Struct]] = {
        "source": config.Source,
        "agent": config.Agent,
        "remote": config.Remote,
        "sender": config.Sender,
        "reversal": config.Reversal,
        "points": config.Point,
    }
    for each in msgspec.structs.fields(kind):
        if each.encode_name.startswith("-"):
            continue
        name = prefix + each.encode_name
        if name in sections:
            found |= settings(sections[name], f"{name}.")
        elif isinstance(each.type, type) and issubclass(each.type, msgspec.Struct):
            found |= settings(each.type, f"{name}.")
        else:
            found[name] = each.default
    return found


def test_every_setting_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    missing = [name for name in settings(Config) if f"| `{name}` |" not in text]
    assert missing == []


def test_the_documented_example_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    assert written(tmp_path, example).problems == ()


SCREEN = """[me]
name = "  "

[screen]
theme = "pink"
bell = "loud"

[screen.keys]
"alert.ack" = "escape"
"alert.akc" = "x"
"alert.silence" = "a"
"help" = "F13"
"""


def test_the_check_finds_what_the_console_would_complain_about(warroom: Warroom) -> None:
    path = warroom.folder / "mine.toml"
    path.write_text(SCREEN)
    for command in (["config", "check"], ["doctor"]):
        done = warroom.within(*command, more={"WARROOM_CONFIG": str(path)})
        assert done.code == 1
        for line, says in {
            2: "`me.name`: expected text that is one line of printable characters",
            5: "there is no theme 'pink'; there are warroom-dark",
            6: "`screen.bell`",
            9: "alert.ack: Esc is taken",
            10: "there is no command 'alert.akc'",
            11: "alert.silence: a already belongs to alert.ack",
        }.items():
            assert any(f"{path}:{line}: " in each and says in each for each in done.lines), (line, done.out)
        assert f"{path}:12:" not in done.out


def test_a_check_without_complaints_says_so(warroom: Warroom) -> None:
    path = warroom.folder / "mine.toml"
    path.write_text('[screen]\ntheme = "warroom-dark"\nkeys = {"alert.ack" = "F7"}\n')
    done = warroom.within("config", "check", more={"WARROOM_CONFIG": str(path)})
    assert (done.code, done.out) == (0, f"{path}: nothing to complain about\n")


@pytest.mark.parametrize("wrong", ['mask = "all"', 'maks = "secrets"', 'mask = "none"\noption = "x"'])
def test_a_mistake_at_a_remote_sends_nothing_that_could_be_meant_to_stay(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[[remote]]\nname = "team"\nurl = "dir:/x"\n{wrong}\n[[remote]]\nname = "own"\nurl = "dir:/y"\n'
    )
    found = config.load(file)
    assert [each.mask for each in found.remote] == ["secrets+personal", "none"]
    assert len(found.problems) == 1
