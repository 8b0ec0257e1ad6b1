"""The list of the containment screen: orders with their targets, the worst first, and the moves of the catalogue."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from console.containment.coverage import short
from console.containment.state import HELD
from console.containment.verdict import ORDER
from console.events import Reached
from screens.display import fit, many
from screens.stopping import what
from screens.times import hms
from screens.widgets.rows import Cells, SectionRows

if TYPE_CHECKING:
    from console.containment.catalogue import Offer
    from console.containment.coverage import Cover, PointCover
    from console.containment.proving import Survey
    from console.containment.quarantine import Held
    from console.containment.state import Moves, Order, Standing

Kind = Literal["heading", "order", "target", "held", "move", "cover", "point", "none"]
LABELS: dict[Reached, tuple[str, str]] = {
    "leaking": ("LEAKING", "crit"),
    "unreachable": ("UNREACHABLE", "crit"),
    "refused": ("REFUSED", "crit"),
    "requested": ("requested", "high"),
    "accepted": ("accepted", "high"),
    "effective": ("effective", "high"),
    "lease_expired": ("LEASE OVER", "ok"),
    "verified": ("VERIFIED", "ok"),
}
"""Every state in a word and its tone. Only the last two are proof."""
DEALT = ("dealt with", "info")
LET_GO = ("let go on", "quiet")
PLACES: dict[Reached, tuple[int, str]] = {
    state: (place * 2, LABELS[state][0].upper()) for place, state in enumerate(ORDER)
}
"""Where the targets in a state stand on the list, the worst first, and their heading."""
OVER = PLACES["effective"][0] + 1
"""The place of targets that nobody has to deal with any more, though they are not proven: before those that are."""
SHORT: dict[Reached, str] = {
    "accepted": "acc",
    "effective": "eff",
    "verified": "ver",
    "lease_expired": "lease",
    "refused": "refused",
    "unreachable": "unreached",
    "leaking": "LEAK",
}
HELD_WORDS: dict[str, tuple[str, str]] = {
    "held": ("held", "high"),
    "deciding": ("DECIDED", "info"),
    "refused": ("REFUSED", "crit"),
    "unknown": ("UNKNOWN", "crit"),
    "released": ("released", "quiet"),
    "dropped": ("dropped", "quiet"),
    "gone": ("gone", "quiet"),
}
"""How an action stands that waits in a queue."""
COVERED: dict[str, tuple[str, str]] = {
    "none": ("NO STOP", "crit"),
    "failed": ("FAILED", "crit"),
    "by-hand": ("by hand", "high"),
    "unproven": ("UNPROVEN", "high"),
    "stale": ("stale", "high"),
    "proven": ("proven", "ok"),
}
"""How well something can be stopped."""
SEVERAL = 50
"""Orders whose rows are kept."""
STATE = 12
"""Cells of the word that says how a target stands."""
GLYPHS: dict[str, tuple[str, str, str]] = {
    "P": ("█▀█", "█▀▀", "▀  "),
    "A": ("▄▀▄", "█▀█", "▀ ▀"),
    "S": ("█▀▀", "▀▀█", "▀▀▀"),
    "F": ("█▀▀", "█▀ ", "▀  "),
    "I": ("█", "█", "▀"),
    "L": ("█  ", "█  ", "▀▀▀"),
    "0": ("█▀█", "█ █", "▀▀▀"),
    "1": ("▀█ ", " █ ", "▀▀▀"),
    "2": ("▀▀█", "█▀▀", "▀▀▀"),
    "3": ("▀▀█", " ▀█", "▀▀▀"),
    "4": ("█ █", "▀▀█", "  ▀"),
    "5": ("█▀▀", "▀▀█", "▀▀▀"),
    "6": ("█▀▀", "█▀█", "▀▀▀"),
    "7": ("▀▀█", "  █", "  ▀"),
    "8": ("█▀█", "█▀█", "▀▀▀"),
    "9": ("█▀█", "▀▀█", "▀▀▀"),
    ":": ("▄", "▄", " "),
}
"""Letters of three lines: a verdict is read across the room, and without colours."""


def big(text: str) -> tuple[str, str, str]:
    """Return `text` in letters of three lines; characters that there are none of are blank."""
    letters = [GLYPHS.get(char, (" ", " ", " ")) for char in text]
    one, two, three = (" ".join(letter[line] for letter in letters) for line in range(3))
    return one, two, three


class HoldRow(NamedTuple):
    """One line.

    Attributes:
        kind: what it is about.
        id: of the order, target, or verb.
        order: the order of a target.
        text: of a heading.
        standing: of a target.
        of: of an order row, or of the order that a target belongs to.
        offer: of a move.
        held: an action that waits in a queue.
        cover: an agent or a tool, and how it can be stopped.
        point: a point, and when it was last tried.
    """

    kind: Kind
    id: str
    order: str = ""
    text: str = ""
    standing: Standing | None = None
    of: Order | None = None
    offer: Offer | None = None
    held: Held | None = None
    cover: Cover | None = None
    point: PointCover | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is about, whatever became of it."""
        return self.kind, self.order, self.id


def title(order: Order) -> str:
    """Return what an order is called: `HALT all agents`, `RESTORE agent etl-7`, `scale_to_zero shop`."""
    body = order.body
    lead = "RESTORE" if body.lifts else "HALT" if body.scope else body.verb
    about = what(body.scope, body.subject) if body.scope else body.subject
    return f"{'DRY RUN ' if body.dry else ''}{lead} {about}".strip()


def verdict_word(order: Order) -> tuple[str, str]:
    """Return how an order stands, in a word, and its tone."""
    if order.body.dry:
        return "dry run", "quiet"
    if order.lifted:
        return "taken back", "quiet"
    if order.judged is None:
        return "UNDER WAY", "high"
    passed = order.judged.verdict == "pass"
    return ("PASS", "ok") if passed else ("FAIL", "crit")


def hold_rows(
    moves: Moves,
    offers: Sequence[Offer] | None,
    waiting: Sequence[Held] = (),
    unseen: Sequence[str] = (),
    survey: Survey | None = None,
) -> list[HoldRow]:
    """Return the list: what is in force with its targets, the newest first; what is held; the moves; what is over.

    Args:
        moves: the orders.
        offers: the catalogue; None while it is being read.
        waiting: the actions that somebody has to decide about.
        unseen: why some queues cannot be looked into, in words.
        survey: what has a working stop, and which points were tried; None while it is being looked at.
    """
    current = [
        each for each in moves.orders.values() if not each.lifted and (not each.body.dry) and _shown(each)
    ]
    rows = [HoldRow("heading", "ORDERS", text=f"ORDERS  {len(current)}")]
    if not current:
        rows.append(HoldRow("none", "ORDERS", text="Nothing is stopped: F9 stops agents, from everywhere."))
    for order in reversed(current):
        rows += _order(order)
    if waiting or unseen:
        rows.append(HoldRow("heading", "HELD", text=f"HELD ACTIONS  {len(waiting):,}"))
        rows += [HoldRow("none", f"HELD {each}", text=each) for each in unseen]
        rows += [HoldRow("held", "/".join(each.place), held=each) for each in waiting]
    rows += _moves(offers)
    rows += _coverage(survey)
    over = [each for each in moves.orders.values() if each not in current]
    if over:
        rows.append(HoldRow("heading", "EARLIER", text=f"EARLIER  {len(over)}"))
        rows += [HoldRow("order", each.body.order, of=each) for each in reversed(over)]
    return rows


def _shown(order: Order) -> bool:
    """A taking back is shown until everything of it was seen to run again."""
    return not order.body.lifts or order.judged is None or bool(order.open)


def _order(order: Order) -> Iterator[HoldRow]:
    name = order.body.order
    yield HoldRow("order", name, of=order)
    groups: dict[tuple[int, str], list[HoldRow]] = {}
    # Ten thousand of them are gone through several times a second: no property is asked.
    for row, each in zip(_made(order), order.targets, strict=True):
        state = each.state
        if each.lifted:
            group = OVER, LET_GO[0].upper()
        elif each.answered is not None and state not in HELD:
            group = OVER, DEALT[0].upper()
        else:
            group = PLACES[state]
        if group in groups:
            groups[group].append(row)
        else:
            groups[group] = [row]
    for (place, word), rows in sorted(groups.items(), key=lambda each: each[0]):
        yield HoldRow("heading", f"{name}/{place}/{word}", text=f"  {word}  {len(rows):,}")
        yield from rows


_rows_of: dict[str, tuple[Order, list[HoldRow]]] = {}
"""Order to the rows of its targets, which stay the same while more becomes known of them."""


def _made(order: Order) -> list[HoldRow]:
    name = order.body.order
    of, rows = _rows_of.get(name, (order, []))
    if of is not order:
        rows = []  # it was read anew
    rows += [HoldRow("target", each.target.id, name, "", each, order) for each in order.targets[len(rows) :]]
    if len(_rows_of) > SEVERAL:
        _rows_of.clear()
    _rows_of[name] = order, rows
    return rows


def label(each: Standing) -> tuple[str, str]:
    """Return how a target stands, in a word, and its tone: what a person did about it goes before what was seen."""
    if each.lifted:
        return LET_GO
    return DEALT if each.answered is not None and not each.held else LABELS[each.state]


def _coverage(survey: Survey | None) -> Iterator[HoldRow]:
    if survey is None:
        yield HoldRow("heading", "COVERAGE", text="COVERAGE")
        yield HoldRow("none", "COVERAGE", text="being looked at…")
        return
    lacking = sum(not each.works for each in survey.covers)
    many_ = (
        f"{lacking:,} of {len(survey.covers):,} agents and tools have no stop that was seen to work of late"
    )
    yield HoldRow("heading", "COVERAGE", text=f"COVERAGE  {many_}")
    for cover in survey.covers:
        yield HoldRow("cover", f"{cover.kind} {cover.name}", cover=cover)
    yield HoldRow("heading", "POINTS", text=f"POINTS  {len(survey.points):,}")
    if not survey.points:
        yield HoldRow("none", "POINTS", text="None is configured: nothing can be stopped from here.")
    for point in survey.points:
        yield HoldRow("point", point.name, point=point)


def _moves(offers: Sequence[Offer] | None) -> Iterator[HoldRow]:
    if offers is None:
        yield HoldRow("heading", "MOVES", text="MOVES")
        yield HoldRow("none", "MOVES", text="being read…")
        return
    from console.containment.catalogue import STAGES

    stage = ""
    for offer in offers:
        if offer.stage != stage:
            stage = offer.stage
            number = [*STAGES].index(offer.stage) + 1
            yield HoldRow("heading", f"MOVES {stage}", text=f"{number}. {STAGES[offer.stage].upper()}")
        yield HoldRow("move", offer.move.verb, offer=offer)


class HoldList(SectionRows[HoldRow]):
    """Orders, targets and moves. `marks`: the keys of rows that are marked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.marks: set[tuple[str, str, str]] = set()

    def key(self, row: HoldRow) -> Hashable:
        """Return what the row is about."""
        return row.key

    def selectable(self, row: HoldRow | None) -> bool:
        """Return whether the cursor may stand there: not on a heading."""
        return row is not None and row.kind not in ("heading", "none")

    def heads(self, row: HoldRow) -> bool:
        """Return whether a section begins with `row`."""
        return row.kind == "heading"

    def empty(self) -> str:
        """Return what an empty pane says."""
        return "opening the record…"

    def paint(self, row: HoldRow, width: int) -> Cells:
        """Return the line of one row."""
        if row.of is not None and row.standing is not None:
            return self._target(row, row.standing, width)
        if row.of is not None:
            return _paint_order(row.of, width)
        if row.cover is not None:
            return _paint_cover(row.cover, width)
        if row.point is not None:
            return _paint_point(row.point, width)
        if row.held is not None:
            return self._held(row, row.held, width)
        if row.offer is not None:
            return _paint_move(row.offer, width)
        return [(fit(row.text, width), "strong" if row.kind == "heading" else "quiet")]

    def _target(self, row: HoldRow, each: Standing, width: int) -> Cells:
        word, tone = label(each)
        right = 36 if width >= 90 else 0
        said = each.answered.how if each.answered is not None and not each.held else each.note
        times = " ".join(
            f"{SHORT[state]} {ms / 1000:.1f}" for state, ms in each.times.items() if state in SHORT
        )
        name = each.target.id + (f" ({each.target.agent})" if _differs(each) else "")
        rest = max(width - 2 - STATE - 8 - right, 8)
        return [
            ("* " if row.key in self.marks else "  ", "strong"),
            (fit(word, STATE), tone),
            (fit(f"{each.ms / 1000:.1f} s", 7, right=True) + " ", "quiet"),
            (fit(f"{name}{f': {said}' if said else ''}", rest), "strong" if each.open else ""),
            (fit(f" {times}", right), "quiet"),
        ]

    def _held(self, row: HoldRow, held: Held, width: int) -> Cells:
        word, tone = HELD_WORDS[held.state]
        right = 30 if width >= 90 else 14
        who = " ".join(filter(None, (held.action.agent, held.action.tool)))
        name = max(width - 2 - STATE - right - 1, 8)
        return [
            ("* " if row.key in self.marks else "  ", "strong"),
            (fit(word, STATE), tone),
            (fit(f"{held.id}: {held.action.what or 'it does not say what it would do'}", name) + " ", ""),
            (fit(who, right, right=True), "quiet"),
        ]


def _differs(each: Standing) -> bool:
    target = each.target
    return bool(target.agent) and not target.id.endswith(target.agent)


def _paint_order(order: Order, width: int) -> Cells:
    word, tone = verdict_word(order)
    took = f"{order.judged.ms / 1000:.1f} s" if order.judged is not None else ""
    what_ = "run" if order.body.lifts else "held"
    right = f"{order.held:,}/{len(order.targets):,} {what_}  {hms(order.at)}Z"
    by = f"  by {order.by}" if width >= 70 else ""
    name = max(width - STATE - 9 - len(right) - 1, 8)
    return [
        (fit(word, STATE), tone),
        (fit(took, 8, right=True) + " ", tone),
        (fit(f"{title(order)}{by}", name) + " ", "strong"),
        (right, "quiet"),
    ]


def _paint_move(offer: Offer, width: int) -> Cells:
    through = ", ".join(offer.points[:3]) + (f" +{len(offer.points) - 3}" if len(offer.points) > 3 else "")
    how, tone = (
        (through, "ok")
        if offer.points
        else ("on the record", "quiet")
        if not offer.by_hand
        else ("BY HAND", "high")
    )
    lasting = not offer.move.reversible and offer.move.family != "record"
    marks = "  CANNOT BE TAKEN BACK" if lasting else ""
    marks += "  DESTROYS EVIDENCE" if offer.move.destroys_evidence else ""
    right = 24 if width >= 80 else 12
    name = max(width - right - 3, 8)
    return [
        ("  ", ""),
        (fit(f"{offer.move.title}{marks}", name) + " ", ""),
        (fit(how, right, right=True), tone),
    ]


def _paint_cover(cover: Cover, width: int) -> Cells:
    word, tone = COVERED[cover.state]
    through = ", ".join(cover.points) or "no point reaches it"
    right = min(40, width // 2 - STATE)
    return [
        ("  ", ""),
        (fit(word, STATE), tone),
        (fit(f"{cover.kind} {cover.name}", max(width - STATE - right - 3, 8)) + " ", ""),
        (fit(through + (" (all at once)" if cover.wide else ""), right, right=True), "quiet"),
    ]


def _paint_point(point: PointCover, width: int) -> Cells:
    word, tone = ("BROKEN", "crit") if point.problem else COVERED[point.state]
    said = point.problem or short(point.proof)
    name = f"{point.name}{' (canary)' if is_canary(point) else ''}"
    left = min(30, width // 3)
    return [
        ("  ", ""),
        (fit(word, STATE), tone),
        (fit(name, left) + " ", "strong"),
        (fit(said, max(width - STATE - left - 3, 8)), "quiet"),
    ]


def is_canary(point: PointCover) -> bool:
    """Return whether a point is there to prove the stop."""
    return not isinstance(point.point, str) and point.point.canary


def many_held(order: Order) -> str:
    """Return how many targets hold, or were seen to run again, in words."""
    what_ = "seen to run again" if order.body.lifts else "held"
    return f"{order.held:,} of {many(len(order.targets), 'target')} {what_}"
