"""The configuration: one TOML file, checked value by value.

An incident is no time to fail over a typing mistake: `load` always returns a configuration. A part that is
wrong keeps its default, and `Config.problems` names file, line and remedy for every one of them.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, field

from data.clock import parse_iso
from playbooks import duration
from playbooks.duration import SECOND

if TYPE_CHECKING:
    from console.tripwires.inventory import Inventory
    from console.tripwires.rules import Rules

MAX_BYTES = 1 << 20

_LINE = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
_PATH = "^/[A-Za-z0-9/_.-]{1,200}$"
_LABEL = "^[a-z0-9][a-z0-9-]{0,31}$"
_VARIABLE = "^[A-Za-z_][A-Za-z0-9_]{0,99}$"
_IN_WORDS = {
    _LINE: "that is one line of printable characters",
    _PATH: "such as `/otlp/v1/traces`",
    _VARIABLE: "that is the name of a variable, such as `KUBECONFIG`",
    _LABEL: "of up to 32 small letters, digits and `-`, such as `team-bucket`",
}
"""What a value that does not match is told, instead of the pattern."""

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Policy = Literal["none", "secrets", "secrets+personal"]
Place = Annotated[str, Meta(min_length=1, max_length=4096)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Factor = Annotated[float, Meta(ge=0, le=1000)]
Money = Annotated[float, Meta(ge=0, le=1_000_000)]


class Duration(int):
    """Nanoseconds, written as `30 s`, `10 min`, `4 h` or `7 d`."""


class Instant(int):
    """Nanoseconds UTC, written as a TOML date or date-time with its offset."""


class Problem(NamedTuple):
    """One mistake in the configuration. `line` counts from 1; 0 when no line is to blame."""

    file: str
    line: int
    what: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.what} {self.fix}".strip()


class Me(Struct, frozen=True, forbid_unknown_fields=True):
    """Who acts: stands on every entry that this console writes."""

    name: Annotated[str, Meta(max_length=128, pattern=_LINE)] = ""
    role: Annotated[str, Meta(max_length=64)] = ""


class Intake(Struct, frozen=True, forbid_unknown_fields=True):
    """How the watcher takes OpenTelemetry in, always at the loopback addresses."""

    enabled: bool = True
    port: Annotated[int, Meta(ge=0, le=65_535)] = 4318
    paths: tuple[Annotated[str, Meta(pattern=_PATH)], ...] = ()
    max_mib: Annotated[int, Meta(ge=1, le=1024)] = 64


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of actions, one JSON object a line, that the watcher follows."""

    path: Place


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """How much telemetry the watcher keeps for a while, for evidence to be captured from it."""

    enabled: bool = True
    max_mib: Annotated[int, Meta(ge=1, le=1_048_576)] = 512
    keep: Duration = Duration(7 * 86_400 * SECOND)


class Tripwires(Struct, frozen=True, forbid_unknown_fields=True):
    """When a tripwire opens an alert, and when the alert pages. Money in USD an hour."""

    page_at: Literal["guarded", "literal"] = "guarded"
    cost_factor: Factor = 2.0
    calls_factor: Factor = 3.0
    guard: Factor = 1.5
    cost_floor: Money = 1.0
    calls_floor: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 30
    armed_hours: Annotated[int, Meta(ge=1, le=168)] = 12
    armed_hours_old: Annotated[int, Meta(ge=1, le=168)] = 5
    review_minimum: Duration = Duration(30 * SECOND)
    review_grace: Duration = Duration(60 * SECOND)
    endpoint_memory: Duration = Duration(30 * 86_400 * SECOND)
    endpoint_age: Duration = Duration(86_400 * SECOND)
    endpoint_cap: Count = 200
    subject_cap: Count = 100
    agent_cap: Count = 200_000
    moved_every: Duration = Duration(60 * SECOND)


Word = Annotated[str, Meta(min_length=1, max_length=2000)]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Statuses = Annotated[tuple[Annotated[int, Meta(ge=100, le=599)], ...], Meta(min_length=1, max_length=50)]
Recipients = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=20)]
Lines = Annotated[tuple[Annotated[str, Meta(max_length=500, pattern=_LINE)], ...], Meta(max_length=100)]
People = Annotated[tuple[Annotated[str, Meta(max_length=128, pattern=_LINE)], ...], Meta(max_length=100)]


class Routes(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Whom each tripwire pages. `owner` is the owner that the agent's inventory names."""

    cost_rate: Recipients = ("owner",)
    action_rate: Recipients = ("owner",)
    new_endpoint: Recipients = ("owner",)
    outcome: Recipients = ("operations",)
    authorisation: Recipients = ("security",)


class Agent(Struct, frozen=True, forbid_unknown_fields=True):
    """What the agents that match are declared to do. Entries that match an agent add up; `deny` wins.

    `task` and `endpoints` are for people and for readiness: telemetry names no task, and an endpoint is new or not.
    """

    name: Name
    tenant: Name = "*"
    owner: Annotated[str, Meta(max_length=128)] = ""
    task: Annotated[str, Meta(max_length=200)] = ""
    tools: Annotated[tuple[Name, ...], Meta(max_length=1000)] = ()
    endpoints: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=512)], ...], Meta(max_length=1000)
    ] = ()
    deny: Annotated[tuple[Name, ...], Meta(max_length=1000)] = ()
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    cost_ceiling: Money | None = None
    calls_ceiling: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None


class Remote(Struct, frozen=True, forbid_unknown_fields=True):
    """A place where consoles meet: `url` says where, `options` what its client needs beside (docs/remotes/).

    Secrets belong into the environment, not here.
    """

    name: Annotated[str, Meta(pattern=_LABEL)]
    url: Annotated[str, Meta(min_length=1, max_length=512)]
    options: dict[Name, Annotated[str, Meta(max_length=4096)]] = {}
    mask: Policy = "none"


class Playbooks(Struct, frozen=True, forbid_unknown_fields=True):
    """The team's own documents of the runbook, where those are to which the documents refer, and values of all of them."""

    directory: Annotated[str, Meta(max_length=4096)] = ""
    links: dict[Name, Place] = {}
    values: dict[Name, Annotated[str, Meta(max_length=2000, pattern=_LINE)]] = {}


class Trust(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose events count: whoever appears first under a key, or only those that somebody puts on the roster."""

    policy: Literal["first-use", "list"] = "first-use"


class Redaction(Struct, frozen=True, forbid_unknown_fields=True):
    """What is masked in lines, exports and bundles; the record itself stays whole."""

    policy: Policy = "secrets"
    extra: Annotated[
        tuple[Annotated[str, Meta(min_length=3, max_length=200)], ...], Meta(max_length=1000)
    ] = ()


class Runner(Struct, frozen=True, forbid_unknown_fields=True):
    """How steps of playbooks run: what programs see of the environment, and how automatic ones are announced."""

    environment: Annotated[tuple[Annotated[str, Meta(pattern=_VARIABLE)], ...], Meta(max_length=100)] = (
        "KUBECONFIG",
        "CLOUDSDK_CONFIG",
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
    )
    announce: Duration = Duration(30 * SECOND)
    two_persons: bool = False


Reader = Literal[
    "internal", "channel", "support", "executives", "customers", "status-page", "regulator", "page"
]
_READERS: dict[str, tuple[Reader, ...]] = {
    "slack": ("internal", "channel"),
    "pagerduty": ("page",),
    "statuspage": ("status-page",),
    "cachet": ("status-page",),
    "webhook": ("internal",),
    "file": get_args(Reader),
}


class Sender(Struct, frozen=True, forbid_unknown_fields=True):
    """A place to which messages go (docs/comms.md). Nothing goes anywhere while `publish` is off.

    Secrets are never here: `token_env` names a variable of the environment, `token_file` a file of mode 0600.
    """

    name: Annotated[str, Meta(pattern=_LABEL)]
    type: Literal["slack", "pagerduty", "statuspage", "cachet", "webhook", "file"]
    publish: bool = False
    audiences: Annotated[tuple[Reader, ...], Meta(max_length=20)] = ()
    contacts: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    url: Annotated[str, Meta(max_length=512)] = ""
    page: Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9_-]*$")] = ""
    components: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    notify: bool = False
    path: Annotated[str, Meta(max_length=4096)] = ""
    token_env: Annotated[str, Meta(pattern=_VARIABLE)] = ""
    token_file: Annotated[str, Meta(max_length=4096)] = ""
    timeout: Duration = Duration(15 * SECOND)

    @property
    def readers(self) -> tuple[Reader, ...]:
        """Whom it reaches: what is set, else what its type is for."""
        return self.audiences or _READERS[self.type]


class Point(Struct, frozen=True, forbid_unknown_fields=True):
    """A point at which something can be stopped (docs/containment.md): one target, or many of the same kind.

    `targets`, and the lines of `targets_file`, are names that its actuator understands; behind a blank may stand the
    agent that the target belongs to. A point that names no agent, tool, queue and target takes any. `vendor_sla` is
    what the vendor promises; the 30 s within which everything stands still are our own (S003-KS-4).
    """

    name: Annotated[str, Meta(pattern=_LABEL)]
    actuator: Annotated[str, Meta(pattern=_LABEL)]
    kind: Annotated[str, Meta(pattern=_LABEL)] = "agent"
    agent: Annotated[str, Meta(max_length=128)] = ""
    tool: Annotated[str, Meta(max_length=128)] = ""
    queue: Annotated[str, Meta(max_length=128)] = ""
    targets: Annotated[
        tuple[Annotated[str, Meta(max_length=200, pattern=_LINE)], ...], Meta(max_length=20_000)
    ] = ()
    targets_file: Annotated[str, Meta(max_length=4096)] = ""
    verbs: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    canary: bool = False
    options: dict[Name, Any] = {}
    vendor: Annotated[str, Meta(max_length=128)] = ""
    vendor_sla: Duration = Duration(0)


class Warden(Struct, frozen=True, forbid_unknown_fields=True):
    """The warden (docs/warden.md): where the console asks it, and how `warroom warden run` serves.

    Attributes:
        url: where it is; empty = there is none.
        token_file: the file of mode 0600 with its control token; empty = `token` in `directory`.
        directory: what it keeps; empty = `warden` in the home directory.
        host: the address at which it listens; beyond loopback it asks guards for a token too.
        port: at which port; 0 = a free one.
        lease: for how long agents get leave.
        longer: agents that are explicitly of low risk, and for how long they get leave instead.
        agents: patterns of the agents that may run at all.
        flags: the file that it writes for flagd; empty = `flags.json` in `directory`.
    """

    url: Annotated[str, Meta(max_length=512)] = ""
    token_file: Annotated[str, Meta(max_length=4096)] = ""
    directory: Annotated[str, Meta(max_length=4096)] = ""
    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 4320
    lease: Duration = Duration(10 * SECOND)
    longer: dict[Name, Duration] = {}
    agents: Annotated[tuple[Name, ...], Meta(max_length=1000)] = ("*",)
    flags: Annotated[str, Meta(max_length=4096)] = ""


class Reversal(Struct, frozen=True, forbid_unknown_fields=True):
    """What undoes one effect of an action class (docs/rollback.md): a command, or a request where `url` is set.

    Secrets are never here: a header `env:NAME` is read from the environment when it is sent.
    """

    action_class: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9.-]{0,63}$")] = field(name="class")
    command: Annotated[tuple[Word, ...], Meta(max_length=64)] = ()
    dry_run: Annotated[tuple[Word, ...], Meta(max_length=64)] = ()
    check: Annotated[tuple[Word, ...], Meta(max_length=64)] = ()
    method: Method = "POST"
    url: Annotated[str, Meta(max_length=2000)] = ""
    headers: dict[Name, Annotated[str, Meta(max_length=2000)]] = {}
    body: Annotated[str, Meta(max_length=20_000)] = ""
    expects: Statuses = (200,)
    check_method: Method = "GET"
    check_url: Annotated[str, Meta(max_length=2000)] = ""
    check_expects: Statuses = (200,)
    warns: Annotated[str, Meta(max_length=500)] = ""
    timeout: Duration = Duration(60 * SECOND)
    width: Annotated[int, Meta(ge=1, le=16)] = 4


class Screen(Struct, frozen=True, forbid_unknown_fields=True):
    """How the console looks and which keys it answers to."""

    theme: Annotated[str, Meta(max_length=64)] = ""
    bell: bool = True
    keys: dict[Name, Annotated[str, Meta(max_length=200)]] = {}


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set. Every part has a default, so that no file is needed.

    Attributes:
        home: the home directory; empty = $WARROOM_HOME, else the XDG data directory.
        profile: which checklist and which names of severities a new incident takes.
        services: agent by the name of the service that sends, for telemetry that names no agent.
        authority: who holds a standing authority, by its id in `authorities.yaml`.
        contacts: who is behind a contact of `routing.yaml`, by its id.
        organisation: what only the organisation knows, by the id of the question in `organisation.yaml`.
        regulation: ids of the legal regimes whose clocks run once a data security incident is known.
        path: the file it was read from; empty when there is none. Not a setting.
        problems: what is wrong with the file. Not a setting.
        lines: line of each setting in the file, by its path. Not a setting.
    """

    me: Me = Me()
    home: Annotated[str, Meta(max_length=4096)] = ""
    profile: Literal["merged", "s001-10min", "s002-ics-15min", "s003-overlay", "s004-bundle"] = "merged"
    intake: Intake = Intake()
    source: tuple[Source, ...] = ()
    window: Window = Window()
    tripwires: Tripwires = Tripwires()
    routes: Routes = Routes()
    agent: tuple[Agent, ...] = ()
    services: dict[Name, Name] = {}
    remote: tuple[Remote, ...] = ()
    sender: tuple[Sender, ...] = ()
    points: tuple[Point, ...] = ()
    authority: dict[Name, People] = {}
    contacts: dict[Name, Lines] = {}
    organisation: dict[Name, Lines] = {}
    regulation: Annotated[tuple[Name, ...], Meta(max_length=50)] = ()
    playbooks: Playbooks = Playbooks()
    trust: Trust = Trust()
    redaction: Redaction = Redaction()
    runner: Runner = Runner()
    warden: Warden = Warden()
    reversal: tuple[Reversal, ...] = ()
    screen: Screen = Screen()
    path: str = field(default="", name="-path")
    problems: tuple[Problem, ...] = field(default=(), name="-problems")
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict, name="-lines")

    def refuse(self, path: tuple[str | int, ...], what: str) -> Config:
        """Return this configuration with one more problem: what only a user of the setting `path` can see."""
        while path not in self.lines and path:
            path = path[:-1]
        found = Problem(self.path, self.lines.get(path, 0), what, "")
        return msgspec.structs.replace(self, problems=(*self.problems, found))


def config_path() -> Path:
    """Where the configuration is: $WARROOM_CONFIG, else `warroom/config.toml` in the XDG config directory."""
    named = os.environ.get("WARROOM_CONFIG")
    if named:
        return Path(named)
    from platformdirs import user_config_path

    return user_config_path("warroom") / "config.toml"


def home_path(config: Config, given: str = "") -> Path:
    """The home directory: `given`, else $WARROOM_HOME, else `home`, else the XDG data directory."""
    named = given or os.environ.get("WARROOM_HOME", "") or config.home
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("warroom")


def rules(config: Config) -> Rules:
    """The rules of the tripwires as the configuration sets them."""
    from console.tripwires.rules import Rules

    # A snapshot of the tripwires holds plain integers only.
    values: dict[str, Any] = {
        name: int(value) if isinstance(value, Duration) else value
        for name, value in msgspec.structs.asdict(config.tripwires).items()
    }
    values["cost_floor"] = _nano(config.tripwires.cost_floor)
    return Rules(**values, routes=msgspec.to_builtins(config.routes))


def inventory(config: Config) -> Inventory | None:
    """What the agents are declared to do; None when nothing is declared at all, which blinds the tripwire."""
    from console.tripwires.inventory import Entry, Inventory

    if not config.agent:
        return None
    return Inventory(
        tuple(
            Entry(
                agent=each.name,
                tenant=each.tenant,
                allow=each.tools,
                deny=each.deny,
                start=each.valid_from,
                end=each.valid_until,
                owner=each.owner,
                cost_ceiling=None if each.cost_ceiling is None else _nano(each.cost_ceiling),
                calls_ceiling=each.calls_ceiling,
            )
            for each in config.agent
        )
    )


def _nano(usd: float) -> int:
    """Nano-USD of the decimal number that was written, without the error of its binary form."""
    from decimal import Decimal

    return int(Decimal(str(usd)) * 1_000_000_000)


def load(path: Path | None = None) -> Config:
    """Read the configuration; never fails (see `Config.problems`).

    Args:
        path: the file; None = where `config_path` says. A missing file is fine, unless somebody named it.
    """
    named = path is not None or bool(os.environ.get("WARROOM_CONFIG"))
    path = config_path() if path is None else path
    import tomllib  # most starts find no file

    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if not named:
            return Config()
        return _unread(file, 0, "The file does not exist.", "Create it, or name another one.")
    except OSError as error:
        return _unread(file, 0, f"The file cannot be read ({error.strerror}).", "Check its owner and mode.")
    if len(raw) > MAX_BYTES:
        return _unread(
            file, 0, f"The file is larger than {MAX_BYTES // 1024} KiB.", "Move inventories out of it."
        )
    try:
        text = raw.decode()
        tree = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return _unread(file, line, "The file is not UTF-8 text.", "Save it as UTF-8.")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"line (\d+)", str(error))
        said = re.sub(r" \(at .*\)$", "", str(error))
        return _unread(
            file, int(found[1]) if found else 0, f"This is not TOML: {said}.", "Nothing of it is used."
        )
    return _Check(file, text).config(tree)


def _unread(file: str, line: int, what: str, fix: str) -> Config:
    return Config(path=file, problems=(Problem(file, line, what, fix),))


S = TypeVar("S", bound=Struct)
Path_ = tuple[str | int, ...]


class _Check:
    """Takes what is right out of a TOML tree, and notes what is not."""

    def __init__(self, file: str, text: str) -> None:
        self._file, self._lines = file, _line_index(text)
        self._problems: list[Problem] = []

    def config(self, tree: dict[str, Any]) -> Config:
        made = self._struct(Config, tree, ())
        assert made is not None  # noqa: S101 - every field of Config has a default
        problems = tuple(sorted(self._problems, key=lambda problem: problem.line))
        return msgspec.structs.replace(made, path=self._file, problems=problems, lines=self._lines)

    def _struct(self, kind: type[S], tree: dict[str, Any], path: Path_) -> S | None:
        """Build `kind` from a table; None when a part without a default is missing or wrong."""
        fields = {each.encode_name: each for each in msgspec.structs.fields(kind)}
        names = [name for name in fields if not name.startswith("-")]
        for key in tree:
            if key not in names:
                from difflib import get_close_matches

                near = get_close_matches(key, names, n=1, cutoff=0.6)
                fix = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(names)}."
                self._say((*path, key), f"Unknown setting `{_dotted((*path, key))}`.", fix)
        values: dict[str, Any] = {}
        for name in names:
            each = fields[name]
            if name in tree:
                try:
                    values[each.name] = self._value(each.type, tree[name], (*path, name))
                    continue
                except _Wrong as wrong:
                    default = "" if each.required else " Its default is used."
                    self._say(wrong.path, f"`{_dotted(wrong.path)}`: {wrong.what}.{default}", wrong.fix)
            elif each.required:
                self._say(path, f"`{_dotted(path)}` has no `{name}`.", f'Add `{name} = "..."`.')
            if each.required:
                return None
        return kind(**values)

    def _value(self, kind: Any, value: Any, path: Path_) -> Any:
        if isinstance(kind, type) and issubclass(kind, Struct):
            if not isinstance(value, dict):
                raise _Wrong(
                    path, "this is a section, not a value", f"Write `[{_dotted(path)}]` on its own line."
                )
            return self._struct(kind, value, path) or kind()
        inner = get_args(kind)[0] if get_origin(kind) is tuple else None
        if isinstance(inner, type) and issubclass(inner, Struct):
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                raise _Wrong(path, "this is a list of sections", f"Write `[[{_dotted(path)}]]` for each one.")
            made = []
            for at, item in enumerate(value):
                before = len(self._problems)
                one = self._struct(inner, item, (*path, at))
                if isinstance(one, Remote) and len(self._problems) > before:
                    # The mistake may be in the mask, or in its name; what is sent cannot be taken back.
                    one = msgspec.structs.replace(one, mask="secrets+personal")
                if isinstance(one, Reversal) and len(self._problems) > before:
                    one = None  # half a reversal, without its warning or its check, is worse than none
                made.append(one)
            return tuple(item for item in made if item is not None)
        try:
            return msgspec.convert(value, kind, dec_hook=_from_text)
        except msgspec.ValidationError as error:
            said = (
                str(error)
                .replace("`str`", "text")
                .replace("`array`", "a list")
                .replace("`object`", "a table")
            )
            for pattern, words in _IN_WORDS.items():
                said = said.replace(f"matching regex {pattern!r}", words)
            raise _Wrong(path, said[:1].lower() + said[1:], "") from None

    def _say(self, path: Path_, what: str, fix: str) -> None:
        while path not in self._lines and path:
            path = path[:-1]
        self._problems.append(Problem(self._file, self._lines.get(path, 1), what, fix))


class _Wrong(Exception):
    def __init__(self, path: Path_, what: str, fix: str) -> None:
        self.path, self.what, self.fix = path, what, fix


def _from_text(kind: type, value: Any) -> Any:
    if kind is Duration:
        if not isinstance(value, str):
            raise ValueError("a duration is text with a unit, such as `30 s`")
        return Duration(duration.parse(value))
    if kind is Instant:
        if isinstance(value, dt.datetime):
            if value.tzinfo is None:
                raise ValueError("a time needs its offset, such as 2026-11-21T00:00:00Z")
            value = value.isoformat()
        elif isinstance(value, dt.date):
            value = f"{value.isoformat()}T00:00:00Z"
        if not isinstance(value, str):
            raise ValueError("a time is a date or a date-time, such as 2026-11-21T00:00:00Z")
        return Instant(parse_iso(value))
    raise NotImplementedError


def _dotted(path: Path_) -> str:
    return ".".join(str(part) for part in path if isinstance(part, str))


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


def _line_index(text: str) -> dict[Path_, int]:
    """Find the line of each key and section. TOML's parser does not tell; a miss only costs precision."""
    lines: dict[Path_, int] = {(): 1}
    counts: dict[Path_, int] = {}
    prefix: Path_ = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            parts: list[str | int] = []
            for name in _parts(header[2]):
                parts.append(name)
                if tuple(parts) in counts:
                    parts.append(counts[tuple(parts)])
            if header[1] == "[[":
                if isinstance(parts[-1], int):
                    parts.pop()
                counts[tuple(parts)] = counts.get(tuple(parts), -1) + 1
                lines.setdefault(tuple(parts), number)
                parts.append(counts[tuple(parts)])
            prefix = tuple(parts)
            lines.setdefault(prefix, number)
        elif key := _KEY.match(line):
            lines.setdefault((*prefix, *_parts(key[1])), number)
    return lines


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", dotted)]
