"""`warroom init`: the first run. It asks what only the organisation knows, and writes it into the configuration.

Each answer is in the file before the next question comes, so that it can be left at any moment and goes on there.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from typing import Any

from console.cli import exits
from console.cli.context import Context
from console.cli.settings import add, document, entries, get, put, write
from console.cli.trouble import complain
from console.config import Config, config_path, load
from console.evidence.window import NAME as WINDOW
from console.readiness import first_run
from console.readiness.first_run import MINUTE, THRESHOLDS, chosen, declarable, drafted, seen_line
from console.readiness.observed import Observed, Seen, Use, observe
from console.readiness.typed import check
from console.refusal import Refused
from console.watching.status import running
from data.home import Home
from playbooks.guidance import FillIn
from playbooks.library import Library, in_force

WIDEST = 96
TELEMETRY = 256 * 2**20
"""Bytes of the window that inventories are drafted from: some million actions, a few seconds."""
LONGEST = 20_000
SECTIONS = ("me", "organisation", "contacts", "authority", "playbooks", "tripwires", "agent")
"""What a file with answers may hold."""
LIMITS = (
    (
        "page_at",
        "Wake people at the literal limit (literal), or only well above the usual as well (guarded)?",
        str,
    ),
    ("cost_floor", "Below how many USD an hour does spend never alert?", float),
    ("calls_floor", "Below how many calls an hour does the call rate never alert?", int),
    ("review_minimum", "How short a human review counts as none? Such as 30 s.", str),
)


def run(options: Namespace) -> int:
    """`warroom init`."""
    context = Context(options)
    if not config_path().exists():
        context.config = Config()  # a file that was named and is made here is no mistake
    if options.blank:
        context.say("\n".join(blank(in_force())))
        return exits.OK
    if options.answers:
        return _from_file(context, Path(options.answers), replace=options.replace)
    home = context.home(create=True)
    if home.mode == "drill":
        raise Refused(
            "This home is for drills.", "Name the real one with --home: a drill has its own agents."
        )
    return _FirstRun(context, home).run()


class _Left(Exception):
    """The person left; what was answered is kept."""


class _FirstRun:
    """One sitting.

    Args:
        context: of the command.
        home: keeps the time spent, and what was left open on purpose.
    """

    def __init__(self, context: Context, home: Home) -> None:
        self._context, self._home = context, home
        self._path = config_path()
        document(self._path)
        self._config = context.config
        self._library = in_force()
        self._made = first_run.progress(home.path)
        self._since = home.clock.now()
        if context.options.again:
            self._made.passed = []

    def run(self) -> int:
        """Ask what is left, in order; returns the exit code."""
        if sys.stdin.isatty():
            with contextlib.suppress(ImportError):
                import_module("readline")  # from here on a line can be edited while it is typed
        todo = self._todo()
        self._say(
            "Enter leaves a question open, or keeps what is there. Ctrl+C leaves; the next `warroom init` goes on from there."
            f"\nEvery answer goes into {self._path}."
        )
        code = exits.OK
        try:
            if (
                not self._config.me.name
                and "me" not in self._made.passed
                and not self._context.options.questions
            ):
                self._me()
            for number, fill_in in enumerate(todo, 1):
                self._head(number, todo)
                self._ask(fill_in)
                if not first_run.complete(self._config, self._library, fill_in.id):
                    self._made.passed.append(fill_in.id)
                self._tick()
        except (_Left, KeyboardInterrupt) as left:
            self._say("")
            code = exits.INTERRUPTED if isinstance(left, KeyboardInterrupt) else exits.OK
        self._tick()
        self._end()
        return code

    # -- saying and asking ---------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
        for line in text.split("\n"):
            lead = line[: len(line) - len(line.lstrip())]
            self._context.say("\n".join(wrap(line, width, subsequent_indent=lead)) if line.strip() else "")

    def _line(self, prompt: str) -> str:
        """One line from the person, printable and of a length that can be kept."""
        while True:
            try:
                text = input(f"{prompt} ").strip()
            except EOFError:
                raise _Left from None
            finally:
                self._tick()
            if len(text) > LONGEST or not (text.isprintable() or not text):
                complain("That cannot be kept: one line of printable characters, please.")
                continue
            return text

    def _until_it_fits(self, prompt: str, take: Callable[[str], object]) -> bool:
        """Ask until an answer is taken or nothing is said. Returns whether one was taken."""
        while text := self._line(prompt):
            try:
                take(text)
            except Refused as refused:
                complain(str(refused))
            except ValueError as error:
                complain(f"{error}. Once more, or Enter.")
            else:
                return True
        return False

    def _tick(self) -> None:
        now = self._home.clock.now()
        self._made.spent += max(now - self._since, 0)
        self._since = now
        with contextlib.suppress(OSError):  # the time is not worth an error
            first_run.keep(self._home.path, self._made)

    def _change(self, change: Callable[[Any], None]) -> None:
        """Change the file as it is now: somebody may have it open in an editor."""
        import tomlkit

        tree = document(self._path)
        change(tree)
        try:
            write(self._path, tomlkit.dumps(tree))
        except OSError as error:
            raise Refused(f"{self._path} cannot be written: {error.strerror}.", "Check its owner.") from error
        self._config = load()

    # -- the questions -------------------------------------------------------------------------------------

    def _todo(self) -> list[FillIn]:
        every = {each.id: each for each in first_run.asked(self._library)}
        wanted = self._context.options.questions
        for name in wanted:
            if name not in every:
                raise Refused(f"Nothing asked here is called {name}.", f"Questions: {', '.join(every)}.")
        if wanted:
            return [every[name] for name in wanted]
        if self._context.options.again:
            return list(every.values())
        return first_run.left(self._config, self._library, self._made)

    def _head(self, number: int, todo: Sequence[FillIn]) -> None:
        fill_in = todo[number - 1]
        left = sum(each.minutes for each in todo[number - 1 :])
        self._say(
            f"\n[{number}/{len(todo)}] {fill_in.id} · {first_run.clock(self._made.spent, left)}\n{fill_in.ask}"
        )

    def _me(self) -> None:
        self._say("\nWhat is your name on the record?")
        self._say(f"  Enter: {self._context.actor}, your login")
        if not self._until_it_fits(">", lambda text: self._set([("me", "name")], text)):
            self._made.passed.append("me")

    def _ask(self, fill_in: FillIn) -> None:
        match fill_in.id:
            case "agents":
                self._agents()
            case "inventory":
                self._inventories()
            case "thresholds":
                self._limits()
            case _:
                self._slots(fill_in)

    def _slots(self, fill_in: FillIn) -> None:
        self._say(f"  for example: {fill_in.example}")
        everything = self._context.options.again or self._context.options.questions
        for slot in first_run.slots(self._library, fill_in):
            tree = document(self._path)
            now = {path: get(tree, path) for path in slot.paths}
            if all(now.values()) and not everything:
                continue
            for path, value in now.items():
                if value:
                    self._say(f"  now {'.'.join(path)}: {_words(value)}")

            self._until_it_fits(f"{slot.label}>" if slot.label else ">", partial(self._fill, slot))

    def _fill(self, slot: first_run.Slot, text: str) -> None:
        value = slot.value(text)
        if value != []:
            check(slot.paths, value, self._library)
        self._set(slot.paths, value)

    def _set(self, paths: Iterable[tuple[str, ...]], value: object) -> None:
        if value == []:
            raise ValueError("There is nothing on this line")

        def change(tree: Any) -> None:
            for path in paths:
                put(tree, path, value)

        self._change(change)

    # -- agents and what they may do -----------------------------------------------------------------------

    @cached_property
    def _observed(self) -> Observed:
        return observe(self._home.watch_dir / WINDOW, TELEMETRY)

    def _seen(self) -> dict[str, Seen]:
        """What telemetry shows, by the name of the agent, whichever tenant it works for."""
        found: dict[str, Seen] = {}
        for each in self._observed.agents.values():
            known = found.setdefault(each.agent, Seen("*", each.agent))
            _add(known.use, each.use)
            for mine, theirs in ((known.tools, each.tools), (known.endpoints, each.endpoints)):
                for name, use in theirs.items():
                    _add(mine.setdefault(name, Use()), use)
        return found

    def _names(self) -> list[str]:
        return list(dict.fromkeys(each.name for each in self._config.agent))

    def _agents(self) -> None:
        strangers = [
            each
            for each in self._seen().values()
            if not any(fnmatchcase(each.agent, name) for name in self._names())
        ]
        offered = [each for each in strangers if declarable(each.agent)]
        if offered:
            self._say("Seen by the watcher and not declared:")
            self._offer([seen_line(each.agent, each.use) for each in offered])
            for place in self._pick(
                "Which of them may run? Numbers such as 1 3-5, or all; Enter: none>", len(offered)
            ):
                self._declare_agent(declarable(offered[place].agent))
        for name in self._names():
            if not any(each.owner for each in self._config.agent if each.name == name):
                self._until_it_fits(f"Who owns {name}?>", partial(self._own, name))
        if not self._seen():
            self._say(
                "  No telemetry is kept yet. Let the watcher listen for a day (`warroom watch`; docs/sources.md), then"
                " `warroom init agents inventory` offers what it saw; or name the agents here."
            )
        while name := self._line("An agent, by its name in the telemetry (Enter: no more)>"):
            if name in self._names():
                complain(f"{name} is declared already.")
                continue
            if not any(fnmatchcase(agent, name) for agent in self._seen()):
                self._say(f"  {name} was not seen by the watcher so far.")
            try:
                self._declare_agent(name)
            except Refused as refused:
                complain(str(refused))
                continue
            self._until_it_fits(f"Who owns {name}?>", partial(self._own, name))

    def _declare_agent(self, name: str) -> None:
        self._change(lambda tree: add(tree, "agent", {"name": name}))

    def _own(self, name: str, owner: str) -> None:
        def change(tree: Any) -> None:
            next(each for each in entries(tree, "agent") if each.get("name") == name)["owner"] = owner

        self._change(change)

    def _inventories(self) -> None:
        everything = self._context.options.again or self._context.options.questions
        if not self._names():
            self._say(
                "  No agent is declared, so there is nothing to ask. `warroom init agents` declares them."
            )
        for name in self._names():
            own = [each for each in self._config.agent if each.name == name]
            if any(each.tools for each in own) and not everything:
                continue
            self._say(f"\n{name}" + "".join(f", owned by {each.owner}" for each in own if each.owner))
            for each in own:
                if each.tools or each.deny or each.endpoints:
                    task = f" for {each.task}" if each.task else ""
                    self._say(
                        f"  now{task}: tools {_words(each.tools)}; endpoints {_words(each.endpoints)}; never {_words(each.deny)}"
                    )
            self._draft(name)
            self._typed(name)

    def _draft(self, name: str) -> None:
        """Offer what was seen and is not declared; nothing is taken without being chosen."""
        own = [each for each in self._config.agent if fnmatchcase(name, each.name)]
        seen = next((each for agent, each in self._seen().items() if fnmatchcase(agent, name)), None)
        if seen is None:
            return
        known = [glob for each in own for glob in (*each.tools, *each.deny)]
        tools, endpoints = drafted(seen)
        tools = [each for each in tools if not any(fnmatchcase(each[0], glob) for glob in known)]
        long = [tool for tool, _ in tools if not declarable(tool)]
        tools = [each for each in tools if declarable(each[0])]
        if long:
            self._say(f"  Beside tools whose names cannot be declared: {len(long)}. Use a glob for them.")
        while tools:
            self._say("Tools that it was seen to call:")
            self._offer([seen_line(*each) for each in tools])
            picks = self._pick(
                "Which may it call, for one task or for all? Numbers, or all; Enter: none of these>",
                len(tools),
            )
            if not picks:
                break
            task = self._line("For which task? (Enter: whatever it does)>")
            self._declare(name, task, tools=[declarable(tools[place][0]) for place in picks])
            tools = [each for place, each in enumerate(tools) if place not in picks]
        if tools:
            picks = self._pick(
                "Which of these must it never call? Numbers, or all; Enter: none is named>", len(tools)
            )
            self._declare(name, None, deny=[declarable(tools[place][0]) for place in picks])
        reach = [glob for each in own for glob in each.endpoints]
        endpoints = [
            each
            for each in endpoints
            if declarable(each[0], 512) and not any(fnmatchcase(each[0], glob) for glob in reach)
        ]
        if endpoints:
            self._say("Endpoints that it was seen to use:")
            self._offer([seen_line(*each) for each in endpoints])
            picks = self._pick("Which may it use? Numbers, or all; Enter: none is declared>", len(endpoints))
            self._declare(name, None, endpoints=[declarable(endpoints[place][0], 512) for place in picks])

    def _typed(self, name: str) -> None:
        """Ask for tasks by word."""
        while task := self._line(f"A task of {name} (* for whatever it does; Enter: no more)>"):
            task = "" if task == "*" else task
            for key, prompt in (
                ("tools", "  Tools that it may call, apart by ; (crm/read; mail/*)>"),
                ("endpoints", "  Endpoints that it may use (GET api.example.com /v1/*)>"),
                ("deny", "  Tools that it must never call>"),
            ):
                self._until_it_fits(prompt, partial(self._declare_listed, name, task, key))

    def _declare_listed(self, name: str, task: str, key: str, text: str) -> None:
        self._declare(name, task, **{key: [each.strip() for each in text.split(";") if each.strip()]})

    def _declare(self, name: str, task: str | None, **lists: list[str]) -> None:
        """Add to the entry of an agent and a task, or make it; without a task to the first entry of the agent."""

        def change(tree: Any) -> None:
            own = [each for each in entries(tree, "agent") if each.get("name") == name]
            lasting = [each for each in own if not each.keys() & {"valid_from", "valid_until"}]
            fits = [each for each in lasting if task is None or each.get("task", "") == task]
            # The entry that only says who owns it becomes that of the first task.
            fits = fits or [each for each in own if not (each.keys() - {"name", "owner", "tenant"})]
            if not fits:
                add(tree, "agent", {"name": name})
                fits = [entries(tree, "agent")[-1]]
            entry = fits[0]
            if task:
                entry["task"] = task
            for key, values in lists.items():
                held = list(entry.get(key, []))
                entry[key] = [*held, *(each for each in values if each not in held)]

        if any(lists.values()):
            self._change(change)

    def _offer(self, lines: Sequence[str]) -> None:
        for number, line in enumerate(lines, 1):
            self._context.say(f"  {number:>3}  {line}")

    def _pick(self, prompt: str, count: int) -> list[int]:
        picked: list[int] = []

        def take(text: str) -> None:
            picked[:] = chosen(text, count)

        self._until_it_fits(prompt, take)
        return picked

    # -- limits ----------------------------------------------------------------------------------------------

    def _limits(self) -> None:
        for key, ask, kind in LIMITS:
            tree = document(self._path)
            now = get(tree, ("tripwires", key))
            from playbooks import duration

            default = getattr(self._config.tripwires, key)
            shown = (
                now
                if now is not None
                else f"{duration.say(default) if key == 'review_minimum' else default}, the default"
            )
            self._say(f"{ask}\n  now: {shown}")
            self._until_it_fits(">", partial(self._limit, key, kind))
        for name in self._names():
            own = [each for each in self._config.agent if each.name == name]
            if any(each.cost_ceiling is not None or each.calls_ceiling is not None for each in own):
                continue
            self._until_it_fits(
                f"{name}: most USD and most calls in any hour, such as 50 2000 (Enter: no ceiling)>",
                partial(self._ceiling, name),
            )

    def _limit(self, key: str, kind: type, text: str) -> None:
        self._set([("tripwires", key)], _number(text, kind))

    def _ceiling(self, name: str, text: str) -> None:
        words = text.replace(",", " ").replace("/", " ").split()
        if len(words) != 2:
            raise ValueError("Two numbers, please: USD and calls")
        cost, calls = _number(words[0], float), _number(words[1], int)

        def change(tree: Any) -> None:
            entry = next(each for each in entries(tree, "agent") if each.get("name") == name)
            entry["cost_ceiling"], entry["calls_ceiling"] = cost, calls

        self._change(change)

    # -- the end -----------------------------------------------------------------------------------------------

    def _end(self) -> None:
        left = [
            each
            for each in first_run.asked(self._library)
            if not first_run.complete(self._config, self._library, each.id)
            and not (each.id == THRESHOLDS and THRESHOLDS in self._made.passed)
        ]
        low, high = first_run.BUDGET
        self._say(f"{self._made.spent // MINUTE} min of {low} to {high} spent.")
        if left:
            names = ", ".join(each.id for each in left)
            self._say(f"Open: {names}. `warroom init` goes on; `warroom init NAME` asks one of them again.")
        else:
            self._say("Everything is filled in.")
        if running(self._home.watch_dir) is not None:
            self._say(
                "A watcher runs and goes by what it read at its start: restart it, or the console that started it."
            )
        self._say(
            "Next: `warroom readiness` (what is missing before an incident), `warroom demo` (rehearse), `warroom` (the console)."
        )


def _add(mine: Use, other: Use) -> None:
    mine.count += other.count
    mine.first = min(mine.first, other.first) if mine.first else other.first
    mine.last = max(mine.last, other.last)


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _number(text: str, kind: type) -> object:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text} is no number") from None


# -- from a file ---------------------------------------------------------------------------------------------


def _from_file(context: Context, file: Path, *, replace: bool) -> int:
    """Take answers from a file of the same form as the configuration; what a person wrote stays unless told."""
    import tomlkit

    if not file.is_file():
        raise Refused(f"There is no file {file}.", "`warroom init --blank` prints one to fill in.")
    wrong = load(file).problems
    if wrong:
        raise Refused(str(wrong[0]), "Nothing was changed.")
    given = document(file).unwrap()
    if strange := [name for name in given if name not in SECTIONS]:
        raise Refused(
            f"{file} has `{strange[0]}`, which is no answer.", f"It may hold {', '.join(SECTIONS)}."
        )
    path = config_path()
    tree = document(path)
    kept = 0
    for text, conflict in _merge(tree, given, replace):
        kept += conflict
        context.say(text)
    try:
        write(path, tomlkit.dumps(tree))
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}.", "Check its owner.") from error
    if kept:
        complain(
            f"{'1 setting is' if kept == 1 else f'{kept} settings are'} as before; --replace takes the file's."
        )
    missing = [each.id for each in first_run.asked(in_force()) if not _done(load(), each)]
    context.say(
        f"Written to {path}. " + (f"Open: {', '.join(missing)}." if missing else "Everything is filled in.")
    )
    return exits.OK


def _done(config: Config, fill_in: FillIn) -> bool:
    return fill_in.id == THRESHOLDS or first_run.complete(config, in_force(), fill_in.id)


def _merge(tree: Any, given: Mapping[str, Any], replace: bool) -> Iterator[tuple[str, bool]]:
    """Put what is given into the document; yields what happened to each setting, and whether it was kept as it was."""
    for path, value in _leaves({name: part for name, part in given.items() if name != "agent"}):
        yield from _one(tree, path, value, ".".join(path), replace)
    for entry in given.get("agent", ()):
        key = tuple(
            entry.get(name, default) for name, default in (("name", ""), ("tenant", "*"), ("task", ""))
        )
        words = f"agent {key[0]}" + (f" / {key[2]}" if key[2] else "")
        mine = next(
            (
                each
                for each in entries(tree, "agent")
                if (each.get("name"), each.get("tenant", "*"), each.get("task", "")) == key
            ),
            None,
        )
        if mine is None:
            add(tree, "agent", entry)
            yield f"added {words}", False
            continue
        for name, value in entry.items():
            yield from _one(mine, (name,), value, f"{words}: {name}", replace)


def _one(
    tree: Any, path: tuple[str, ...], value: object, words: str, replace: bool
) -> Iterator[tuple[str, bool]]:
    before = get(tree, path)
    if before == value:
        return
    if before is None:
        put(tree, path, value)
        yield f"added {words} = {_words(value)}", False
    elif replace:
        put(tree, path, value)
        yield f"replaced {words} = {_words(value)}; it was {_words(before)}", False
    else:
        yield f"kept {words} = {_words(before)}; the file says {_words(value)}", True


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def blank(library: Library) -> Iterator[str]:
    """The lines of a file to fill in: every question as a comment, every answer commented out."""
    import json

    yield "# Take the # off what you fill in, then: warroom init --answers FILE"
    sections: dict[str, list[str]] = {"me": ["# What is your name on the record?", '#name = "ana"']}
    for fill_in in first_run.asked(library):
        if fill_in.id in ("agents", "inventory", THRESHOLDS):
            continue
        for number, slot in enumerate(first_run.slots(library, fill_in)):
            for path in slot.paths:
                lines = sections.setdefault(".".join(path[:-1]), [])
                if not number and path == slot.paths[0]:
                    lines.append(f"# {fill_in.ask} ({fill_in.minutes} min)")
                lines.append(f"#{path[-1]} = {json.dumps(slot.value(fill_in.example), ensure_ascii=False)}")
    sections["tripwires"] = [line for key, ask, kind in LIMITS for line in _blank_limit(key, ask, kind)]
    for section, lines in sections.items():
        yield f"\n[{section}]"
        yield from lines
    yield "\n# Which agents run, who owns each, and what may each of them do? One section for each task."
    yield from (
        "#[[agent]]", '#name = "support-mailer"', '#owner = "support team"', '#task = "answer a ticket"',
        '#tools = ["crm/read", "mail/send"]', '#endpoints = ["GET api.example.com /v1/*"]',
        '#deny = ["crm/delete*"]', "#cost_ceiling = 50.0", "#calls_ceiling = 2000",
    )  # fmt: skip


def _blank_limit(key: str, ask: str, kind: type) -> list[str]:
    from console.config import Tripwires
    from playbooks import duration

    value = getattr(Tripwires(), key)
    text = duration.say(value) if key == "review_minimum" else value
    return [f"# {ask}", f'#{key} = "{text}"' if kind is str else f"#{key} = {text}"]
