"""Which document, rule or screen carries each requirement of the runbook, and which tests prove it.

`python -m tests.requirements.coverage` writes docs/coverage.md, and takes what is covered by now off open.txt.

Documents say themselves what they carry (`sources` of an element, `requirements` of a whole document). What
code carries is in carriers.txt: id, file, and a word that stands in it. Tests say it with `@pytest.mark.req`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from playbooks import requirements, yaml
from playbooks.library import SHIPPED

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "coverage.md"
OPEN = HERE / "open.txt"
CARRIERS = HERE / "carriers.txt"
WRITTEN = "WARROOM_TEST_PROOFS"
SHOWN = 5

Proofs = dict[str, list[str]]
"""Names of tests by the id that they are marked with."""


class Carrier(NamedTuple):
    """What carries a requirement: a part of a document, or of the program."""

    id: str
    file: str
    part: str = ""


class Row(NamedTuple):
    """One requirement with all that carries and proves it."""

    requirement: requirements.Requirement
    carriers: list[Carrier]
    proofs: list[str]

    @property
    def missing(self) -> str:
        """What it lacks, in words; empty if it is covered."""
        if not self.carriers:
            return "nothing carries it"
        named = {carrier.id for carrier in self.carriers}
        lost = [id for id in self.requirement.part_ids if id not in named]
        # A row is carried as a whole, or part by part; then no part may be lost.
        if self.requirement.id not in named and self.requirement.parts > 1 and lost:
            return f"nothing carries {', '.join(lost)}"
        return "" if self.proofs else "no test proves it"


def in_scope() -> list[requirements.Requirement]:
    """The requirements that the runbook carries."""
    return [each for each in requirements.known().values() if each.home in requirements.IN_RUNBOOK]


def rows(proofs: Proofs) -> list[Row]:
    """Every requirement in scope, in the order of the list."""
    carried: dict[str, list[Carrier]] = {}
    for carrier in (*documents(), *code()):
        carried.setdefault(requirements.whole(carrier.id), []).append(carrier)
    proven: dict[str, set[str]] = {}
    for id, tests in proofs.items():
        proven.setdefault(requirements.whole(id), set()).update(tests)
    return [Row(each, carried.get(each.id, []), sorted(proven.get(each.id, ()))) for each in in_scope()]


def documents() -> Iterator[Carrier]:
    """What the shipped documents say that they carry."""
    for path in sorted(SHIPPED.rglob("*.yaml")):
        yield from _named(yaml.read(path.read_bytes()).value, str(path.relative_to(ROOT)), "")


def _named(value: Any, file: str, part: str) -> Iterator[Carrier]:
    if isinstance(value, list):
        for each in value:
            yield from _named(each, file, part)
    elif isinstance(value, dict):
        if "sources" in value:
            part = str(
                value.get("id") or value.get("verb") or value.get("severity") or value.get("text", part)
            )
        for key, each in value.items():
            if key in ("sources", "requirements") and isinstance(each, list):
                yield from (Carrier(str(id), file, part) for id in each)
            else:
                yield from _named(each, file, part)


def code() -> Iterator[Carrier]:
    """What the program carries."""
    for line in CARRIERS.read_text().splitlines():
        if line and not line.startswith("#"):
            yield Carrier(*line.split(maxsplit=2))


def waiting() -> list[str]:
    """The ids that are not covered yet."""
    return [line for line in OPEN.read_text().splitlines() if line and not line.startswith("#")]


class Collector:
    """A plugin that writes down which tests carry which ids."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        Path(os.environ[WRITTEN]).write_text(json.dumps(marked(session.items)))


def marked(items: Iterable[pytest.Item]) -> Proofs:
    """The tests of a run by the ids that they are marked with."""
    proofs: dict[str, set[str]] = {}
    for item in items:
        name = item.nodeid.partition("[")[0]
        for marker in item.iter_markers("req"):
            for id in marker.args:
                proofs.setdefault(id, set()).add(name)
    return {id: sorted(names) for id, names in proofs.items()}


@cache
def collected(scratch: Path) -> Proofs:
    """The same for all tests, collected in a process of its own."""
    command = [sys.executable, "-m", "tests.requirements.coverage", "--collect"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, WRITTEN: str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    # 1 is what the snapshots make of it that nobody looked at them.
    assert done.returncode in (0, 1), done.stdout.partition("= ERRORS =")[2] + done.stderr
    proofs: Proofs = json.loads(scratch.read_text())
    return proofs


def page(found: list[Row]) -> str:
    """The page of docs/."""
    covered = sum(not row.missing for row in found)
    lines = [
        "# Coverage of the runbook",
        "",
        "Made by `python -m tests.requirements.coverage`; a test fails when it is not up to date, and when a requirement is lost.",
        "For every requirement in scope of the runbook: the document and the part of it, or the piece of the program, that carries",
        "it, and the tests that prove it. `.2` is the second part of a requirement that has several.",
        "",
        f"{covered} of {len(found)} are covered.",
    ]
    home = ""
    for row in sorted(found, key=lambda each: each.requirement.home):
        if row.requirement.home != home:
            home = row.requirement.home
            lines += [
                "",
                f"## {HOMES[home]}",
                "",
                "| requirement | carried by | proven by |",
                "| --- | --- | --- |",
            ]
        lines.append(f"| {row.requirement.id} | {_carried(row)} | {_proven(row)} |")
    return "\n".join(lines) + "\n"


HOMES = {
    "AUTO": "Automation",
    "CHK": "First response and forms",
    "COMM": "Communication",
    "CONF": "Readiness and configuration",
    "KILL": "Containment",
    "PLAY": "Playbooks",
    "ROLE": "Roles and authority",
    "SEV": "Severity, types and tags",
}


def _carried(row: Row) -> str:
    parts: dict[tuple[str, str], list[str]] = {}
    for carrier in row.carriers:
        suffix = carrier.id.removeprefix(row.requirement.id)
        if carrier.part:  # that a whole document names it says less than its parts do
            parts.setdefault((carrier.file, carrier.part), []).append(suffix)
    for carrier in row.carriers:
        if not carrier.part and not any(file == carrier.file for file, _ in parts):
            parts[(carrier.file, "")] = []
    listed = [
        f"[{Path(file).name.removesuffix('.yaml')}](../{file})"
        + (f" {_cell(part)}" if part else "")
        + (f" ({', '.join(filter(None, sorted(set(suffixes))))})" if any(suffixes) else "")
        for (file, part), suffixes in parts.items()
    ]
    lacks = row.missing if "carries" in row.missing else ""
    return _some([*([f"**{lacks}**"] if lacks else []), *listed])


def _proven(row: Row) -> str:
    listed = []
    for proof in row.proofs:
        file, _, name = proof.partition("::")
        listed.append(f"[{name.removeprefix('test_')}](../{file})")
    return _some(listed) or "**no test**"


def _some(listed: list[str]) -> str:
    more = f", and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def _cell(text: str) -> str:
    return "`" + " ".join(text.split()).replace("|", "/").replace("`", "'")[:60] + "`"


def open_page(ids: Iterable[str]) -> str:
    """The text of open.txt."""
    return "# Requirements in scope that are not covered yet. This list only gets shorter.\n" + "".join(
        f"{id}\n" for id in ids
    )


def main() -> int:
    """Write the page; take what is covered off the list of what is open."""
    if "--collect" in sys.argv:
        return int(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", "tests"], [Collector()]))
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        found = rows(collected(Path(folder) / "proofs.json"))
    PAGE.write_text(page(found))
    lacking = {row.requirement.id: row.missing for row in found if row.missing}
    before = waiting() if OPEN.exists() else list(lacking)
    OPEN.write_text(open_page(id for id in before if id in lacking))
    for id, what in lacking.items():
        print(f"{id}: {what}" + ("" if id in before else "  LOST: it is not on the list of what is open"))
    print(f"{len(found) - len(lacking)} of {len(found)} covered")
    return 0


if __name__ == "__main__":
    sys.exit(main())
