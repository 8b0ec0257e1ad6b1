"""Where readiness stands: each question of the reviews with its answer, by whom or by what, and who owns the gap.

What can be checked is checked, and a person is asked for the rest. A check that says no wins over a person who says
yes; a person who says no wins over a check that says yes: whoever is there knows what no file shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from console.events import ReadinessAnswered, RemoteProbed, read
from console.readiness import answers
from console.readiness.answers import Given
from console.readiness.checks import CHECKS, DAY, Checked, Facts, Probe, listed
from console.refusal import Refused
from data.clock import iso

if TYPE_CHECKING:
    from console.config import Config
    from console.containment.proving import Survey
    from data.home import Home
    from playbooks.guidance import Review

Answer = Literal["yes", "no", "unknown"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
GAPS_OWNED = "control-review/owner"
"""The question whether each gap has an owner: the others answer it."""
UNOWNED = "While nobody owns a no: no wider rollout. Shrink the pilot, sharpen the gate or measure first."


class Row(NamedTuple):
    """One question and how it stands.

    Attributes:
        id: `review/question`.
        review: title of the review that asks it.
        text: the question.
        remedy: what to do about a no.
        answer: what counts now.
        checked: what a check said; None: no check can tell.
        given: what a person said last; None: nobody did.
        stale: why the person's answer has to be given again; empty: it holds.
        due: until when it holds, ns UTC; None: nobody answered.
    """

    id: str
    review: str
    text: str
    remedy: str
    answer: Answer
    checked: Checked | None
    given: Given | None
    stale: str
    due: int | None

    @property
    def gap(self) -> bool:
        """Whether it is anything but a yes."""
        return self.answer != "yes"

    @property
    def owner(self) -> str:
        """Who closes the gap."""
        return self.given.body.owner if self.given is not None else ""

    @property
    def unowned(self) -> bool:
        """Whether it is a no that nobody owns; the question about owners is closed by the others."""
        return self.answer == "no" and not self.owner and self.id != GAPS_OWNED

    @property
    def never(self) -> bool:
        """Whether neither a check nor a person ever answered it."""
        return self.checked is None and self.given is None

    @property
    def because(self) -> str:
        """What the answer rests on, as a sentence without its end."""
        said = []
        if self.checked is not None:
            said.append(self.checked.said)
        if self.given is not None:
            word = self.given.body
            note = f": {word.note}" if word.note else ""
            when = iso(self.given.at, 0)[:10]
            if self.stale:
                said.append(f"{self.given.by} said {word.answer} on {when}{note}; {self.stale}")
            elif self.checked is None or word.note or word.answer != self.checked.answer:
                said.append(f"{self.given.by} says {word.answer}, {when}{note}")
        return "; ".join(said) or "nobody has answered it"

    @property
    def value(self) -> dict[str, object]:
        """The same for programs."""
        word = self.given
        return {
            "question": self.id,
            "review": self.review,
            "text": self.text,
            "answer": self.answer,
            "because": self.because,
            "checked": self.checked.answer if self.checked else None,
            "said": word.body.answer if word else None,
            "by": word.by if word else None,
            "at": iso(word.at, 0) if word else None,
            "note": word.body.note if word else None,
            "owner": self.owner,
            "unowned": self.unowned,
            "stale": self.stale,
            "due": iso(self.due, 0) if self.due is not None else None,
            "remedy": self.remedy,
        }


async def standing(config: Config, home: Home | None, now: int) -> list[Row]:
    """Return every question of every review in force, in their order. `now`: ns UTC.

    Raises:
        PlaybookTrouble: a shipped document is broken.
        StoreTrouble: the answers cannot be read.
    """
    from playbooks.library import in_force

    word = await answers.given(home) if home is not None else {}
    probes = await _probes(config, home) if home is not None else {}
    facts = Facts(config, in_force(), home, now, probes, await _survey(config, home, now))
    return await asyncio.to_thread(_rows, facts, word)


async def _survey(config: Config, home: Home | None, now: int) -> Survey | None:
    """How well stops cover the agents; None where none is configured, which takes no look at telemetry."""
    if not config.points and (home is None or home.mode != "drill"):
        return None
    from console.containment.points import Points
    from console.containment.proving import survey

    points = await asyncio.to_thread(lambda: Points(config) if home is None else Points.of(config, home))
    try:
        return await survey(points, config, home, now)
    finally:
        await points.close()


def _rows(facts: Facts, word: Mapping[str, Given]) -> list[Row]:
    from playbooks.guidance import Review

    reviews = [each for each in facts.library.documents(Review) if each.status != "retired"]
    rows = [row for review in reviews for row in _asked(review, facts, word)]
    unowned = [row.id for row in rows if row.unowned]
    owned = (
        Checked("no", f"nobody owns {listed(unowned)}")
        if unowned
        else Checked("yes", "every no has an owner")
    )
    return [_settled(row, owned) if row.id == GAPS_OWNED else row for row in rows]


def _asked(review: Review, facts: Facts, word: Mapping[str, Given]) -> Iterable[Row]:
    for ask in review.questions:
        name = f"{review.id}/{ask.id}"
        said = word.get(name)
        due, stale = None, ""
        if said is not None:
            due = said.at + (ask.every_days or review.review_every_days) * DAY
            if due < facts.now:
                stale = f"due again since {iso(due, 0)[:10]}"
            elif said.body.text != ask.text:
                stale = "the question is another one by now"
        check = CHECKS.get(name)
        row = Row(name, review.title, ask.text, ask.remedy, "unknown", None, said, stale, due)
        yield _settled(row, check(facts) if check is not None else None)


def _settled(row: Row, checked: Checked | None) -> Row:
    """The row with what a check said and the answer that counts."""
    word = row.given.body.answer if row.given is not None else None
    if word == "yes" and row.stale:
        word = None  # what was so may not be so any more; a no stays one until somebody says otherwise
    answer: Answer = checked.answer if checked is not None else word or "unknown"
    if word is not None and word != "yes" and answer == "yes":
        answer = word
    return row._replace(answer=answer, checked=checked)


async def _probes(config: Config, home: Home) -> dict[str, Probe]:
    """What each remote that is configured showed last, as the incidents have it on record."""
    from data.case import CaseReader
    from data.trouble import StoreTrouble

    found: dict[str, Probe] = {}
    urls = {each.name: each.url for each in config.remote}
    for case in home.cases() if urls else ():
        try:
            reader = await CaseReader.open(home.case_dir(case))
        except StoreTrouble:
            continue  # `doctor` says so
        try:
            events = await reader.of(frozenset({RemoteProbed.kind}))
        except StoreTrouble:
            continue
        finally:
            await reader.close()
        for event in events:
            body = read(event)
            if not isinstance(body, RemoteProbed) or event.rep != home.replica:
                continue
            # Another place under the same name was probed then.
            known = found.get(body.remote)
            if urls.get(body.remote, "")[:512] == body.url and (known is None or event.at > known.at):
                found[body.remote] = Probe(event.at, body.reads_back and body.lists)
    return found


async def answer(
    home: Home,
    row: Row,
    word: str,
    *,
    actor: str,
    role: str = "",
    note: str = "",
    owner: str = "",
) -> None:
    """Put a person's answer to the question of a row on the record.

    Whoever owns a gap goes on owning it until it is closed or somebody else is named.

    Raises:
        Refused: a check says otherwise, something is out of its bounds, or the home is for drills.
        StoreTrouble: it could not be written.
    """
    if home.mode == "drill":
        raise Refused("This home is for drills.", "Readiness is that of the real one: name it with --home.")
    if word not in ANSWERS:
        raise Refused(f"{word} is no answer.", "Answer yes, no or unknown.")
    if word == "yes" and row.checked is not None and row.checked.answer == "no":
        raise Refused(
            f"{row.id} is checked, and the answer is no: {row.checked.said}.",
            f"{row.remedy} Or answer no, and name who does it.",
        )
    if word != "yes" and not owner.strip() and row.gap:
        owner = row.owner
    version = await asyncio.to_thread(_version, row.id)
    body = ReadinessAnswered(row.id, row.text, word, note.strip(), owner.strip(), version)
    await answers.give(home, body, actor, role)


def find(rows: list[Row], name: str) -> Row:
    """Return the question that `name` means: its id, or the end of it where only one ends so.

    Raises:
        Refused: none or several fit.
    """
    fits = [row for row in rows if row.id == name] or [
        row for row in rows if row.id.partition("/")[2] == name
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise Refused(f"Several questions are called {name}.", f"Say which: {listed(r.id for r in fits)}.")
    from difflib import get_close_matches

    near = get_close_matches(name, [row.id for row in rows], n=1, cutoff=0.4)
    raise Refused(
        f"There is no question {name}.",
        f"Did you mean {near[0]}?" if near else "`warroom readiness --list` lists them.",
    )


def summary(rows: list[Row]) -> str:
    """The three counts, side by side: no score hides a no."""
    count = {word: sum(row.answer == word for row in rows) for word in ANSWERS}
    unowned = sum(row.unowned for row in rows)
    nobody = f", {unowned} OWNED BY NOBODY" if unowned else ""
    return f"{count['no']} no{nobody}; {count['unknown']} unknown; {count['yes']} yes"


def _version(name: str) -> str:
    from playbooks.guidance import Review
    from playbooks.library import in_force

    return in_force().named(Review, name.partition("/")[0]).version
