"""What there is to read about an order, a target and a move, and what is said of a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.containment.coverage import short
from console.containment.state import HELD
from console.containment.verdict import ORDER, receipt, spoken, summary
from console.containment.verdict import WORDS as MEANINGS
from screens.times import SECOND, clock, day_hms, hms
from screens.widgets.containment import (
    COVERED,
    DEALT,
    HELD_WORDS,
    LABELS,
    big,
    is_canary,
    label,
    many_held,
    title,
    verdict_word,
)
from screens.widgets.sheet import Para
from screens.widgets.strips import FLEX, Piece

if TYPE_CHECKING:
    from collections import Counter

    from console.containment.catalogue import Offer
    from console.containment.coverage import Cover, PointCover
    from console.containment.quarantine import Held
    from console.containment.state import Moves, Order, Standing
    from console.events import Reached
    from console.incident import Incident

NAMED = 3
"""Targets that are named in one line."""
LISTED = 100
"""Targets that are listed on a page; the list of the screen has all of them."""


def verdict(order: Order, incident: Incident) -> tuple[str, str]:
    """Return what is said when a verdict comes, and its tone."""
    judged = order.judged
    if judged is None:
        return "", ""
    took = f"after {judged.ms / 1000:.1f} s: {many_held(order)}"
    if judged.verdict == "fail":
        open_ = f"{'not seen to run' if order.body.lifts else 'not held'}: {_names(order.open)}"
        return f"FAIL, {title(order)} {took}; {open_}. 0, then u says how it was dealt with.", "crit"
    confirm = "; C confirms containment" if not order.body.lifts and incident.contained_at is None else ""
    return f"PASS, {title(order)} {took}{confirm}", "ok"


def resumes(orders: Sequence[Order]) -> tuple[str, str]:
    """Return what is said when a console goes on with what another left behind, and its tone."""
    said = "; ".join(f"{title(order)} of {hms(order.at)}Z, {many_held(order)}" for order in orders)
    if any(order.judged is None for order in orders):
        return (
            f"An earlier console ended in the middle; this one goes on: {said}. 0 shows each target.",
            "crit",
        )
    return f"What was stopped is looked at again from here: {said}.", "high"


def _names(open_: Sequence[Standing]) -> str:
    shown = ", ".join(f"{LABELS[each.state][0]} {each.target.id}" for each in open_[:NAMED])
    return shown + (f" and {len(open_) - NAMED:,} more" if len(open_) > NAMED else "") or "nobody"


def chief(moves: Moves) -> Order | None:
    """Return the order that matters most: one under way, else one that failed, else the newest."""
    force = [each for each in moves.orders.values() if not each.body.dry and not each.lifted]
    going = [each for each in force if each.judged is None]
    failed = [each for each in force if any(target.open for target in each.targets)]
    newest = going or failed or [each for each in force if not each.body.lifts] or force
    return newest[-1] if newest else None


Lines = tuple[tuple[list[Piece], list[Piece]], ...]


def verdict_lines(moves: Moves, now: int, *, contained: bool, low: bool) -> Lines:
    """Return the top of the screen: the verdict, or the stopwatch, in letters that are read across the room.

    `contained`: whether containment is confirmed. `low`: there is one line for it.
    """
    order = chief(moves)
    if order is None:
        return (
            ([("NOTHING IS STOPPED", "strong", 0), ("F9 stops agents", "quiet", 1)], []),
            ([], []),
            ([], []),
        )
    word, tone = verdict_word(order)
    since = now - order.at
    late = order.judged is None and since > order.body.budget * SECOND
    face = word if order.judged is not None else f"{since // SECOND // 60}:{since // SECOND % 60:02}"
    states = order.states
    how = ", ".join(
        f"{states[state]:,} {LABELS[state][0].lower()}" for state in ORDER if state in HELD and states[state]
    )
    held = many_held(order) + (f": {how}" if how else "")
    given = f"{title(order)}, by {order.by} {day_hms(order.at, now)}Z"
    last: Piece = (
        _rest(order, states, contained),
        "crit" if order.open and order.judged is not None else "quiet",
        FLEX,
    )
    if low:
        lead = word if order.judged is not None else clock(since)
        return (([(lead, "alarm" if tone == "crit" else tone, 0), (held, "strong", 0), last], []),)
    shown = big(face)
    aside: tuple[Piece, ...] = (
        (given, "strong", FLEX),
        (held + ("  NO VERDICT AFTER 30 s" if late else ""), tone, FLEX),
        last,
    )
    return tuple(([(letters, tone, 0), piece], []) for letters, piece in zip(shown, aside, strict=True))


def _rest(order: Order, states: Counter[Reached], contained: bool) -> str:
    if order.judged is None:
        going = ", ".join(
            f"{states[state]:,} {LABELS[state][0].lower()}"
            for state in ORDER
            if state not in HELD and states[state]
        )
        return f"{going}; the verdict comes {order.body.budget} s after the order at the latest"
    if left := order.open:
        what = "not seen to run" if order.body.lifts else "not held"
        return f"{len(left):,} {what}: {_names(left)}"
    if not contained and not order.body.lifts:
        return "C confirms containment, which starts the rollback clocks"
    return "everything was seen to run again" if order.body.lifts else "everything that was stopped is held"


def about_order(order: Order, now: int) -> list[Para]:
    """Return the receipt of an order as far as it goes."""
    body = order.body
    word, tone = verdict_word(order)
    took = f" after {order.judged.ms / 1000:.1f} s" if order.judged is not None else ""
    paras = [
        Para(title(order), "order", "strong"),
        Para(f"{word}{took}; {many_held(order)}", "verdict", tone),
        Para(f"{order.by}, {day_hms(order.at, now)}Z", "by"),
        Para(body.reason or "no reason was given", "reason", "" if body.reason else "quiet"),
    ]
    if body.advice:
        paras.append(Para(body.advice, "aid said"))
    if order.epoch:
        paras.append(Para(str(order.epoch), "epoch", "quiet"))
    if order.lifted:
        paras.append(Para(f"by order {order.lifted}", "taken back", "quiet"))
    for state, (word, tone) in LABELS.items():
        found = [each for each in order.targets if each.state == state]
        if found:
            last = max(each.ms for each in found) / 1000
            paras.append(Para(f"{len(found):,}, the last after {last:.1f} s", word.lower(), tone))
    return [*paras, Para(f"{body.verb}, {body.order}", "id", "quiet")]


def receipt_page(order: Order) -> list[Para]:
    """Return the receipt, whose first lines are those that need somebody."""
    lines = receipt(order).split("\n")
    paras = [Para(line, "", "crit" if line.startswith("  !") else "") for line in lines[:LISTED]]
    if len(lines) > LISTED:
        paras.append(
            Para(f"and {len(lines) - LISTED:,} more; `warroom containment` prints all of it", "", "quiet")
        )
    return paras


def about_target(each: Standing, order: Order, now: int) -> list[Para]:
    """Return how far one target got, and what is to be done about it."""
    word, tone = label(each)
    paras = [
        Para(each.target.id, "target", "strong"),
        Para(f"{word} after {each.ms / 1000:.2f} s", "state", tone),
        Para(each.target.point + (f", {each.target.actuator}" if each.target.actuator else ""), "through"),
    ]
    if each.target.agent:
        paras.append(Para(each.target.agent, "agent"))
    if each.note:
        paras.append(Para(each.note, "it says", agent=True))
    paras += [
        Para(f"{ms / 1000:.2f} s after the order", LABELS[state][0].lower())
        for state, ms in each.times.items()
    ]
    if each.answered is not None:
        shows = f" ({each.answered.evidence})" if each.answered.evidence else ""
        paras.append(Para(f"{each.answered.how}{shows}", DEALT[0], "info"))
    elif each.open and order.judged is not None:
        paras.append(
            Para(
                "It is tried and looked at again until it holds. u says how somebody dealt with it.",
                "",
                "high",
            )
        )
    paras.append(Para(MEANINGS[each.state], "means", "quiet"))
    return paras


def about_held(held: Held, now: int) -> list[Para]:
    """Return what an action would do that waits in a queue, and what was decided about it."""
    word, tone = HELD_WORDS[held.state]
    action = held.action
    paras = [
        Para(held.id, "held action", "strong"),
        Para(action.what or "its queue does not say", "would do", agent=True),
        Para(f"{word}{f': {held.note}' if held.note else ''}", "state", tone),
        Para(f"queue {held.queue} at {held.point}", "waits in"),
        Para(" ".join(filter(None, (action.agent, action.tool))) or "not said", "of"),
        Para(action.since or day_hms(held.at, now), "since"),
    ]
    if held.word:
        paras.append(
            Para(
                f"{held.word} by {held.by} {day_hms(held.decided_at, now)}Z: {held.reason or '-'}", "decided"
            )
        )
    return [*paras, Para("l releases, d drops, h holds on; Space marks several.", "", "quiet")]


def about_cover(cover: Cover) -> list[Para]:
    """Return how an agent or a tool can be stopped, who may, and when that was proven."""
    word, tone = COVERED[cover.state]
    known = (
        " and ".join(filter(None, ("declared" * cover.declared, "seen of late" * cover.seen)))
        or "known to a point"
    )
    return [
        Para(f"{cover.kind} {cover.name}", "stops", "strong"),
        Para(word, "state", tone),
        Para(known, "known"),
        Para(", ".join(cover.points) or "no point reaches it", "through"),
        Para(f"{cover.verb}{', which stops everything' if cover.wide else ''}", "with"),
        Para(str(cover.who), "who may"),
        Para(short(cover.proof), "last proven"),
    ]


def about_point(point: PointCover) -> list[Para]:
    """Return what a point carries out, and when it was last tried."""
    word, tone = ("BROKEN", "crit") if point.problem else COVERED[point.state]
    canary = "a canary: f stops it for real, and lets it go on" if is_canary(point) else ""
    return [
        Para(f"{point.name}{' (canary)' if canary else ''}", "point", "strong"),
        Para(point.problem or word, "state", tone),
        Para(short(point.proof), "last tried"),
        Para(", ".join(point.verbs) or "nothing", "carries out"),
        Para(canary, "", "info"),
    ]


def about_move(offer: Offer) -> list[Para]:
    """Return what the catalogue says of a move, and what can carry it out."""
    move, proof = offer.move, offer.proof
    through = ", ".join(offer.points) or (
        "no point carries it out: by hand" if offer.by_hand else "the record only"
    )
    paras = [
        Para(move.title, "move", "strong"),
        Para(through, "through", "" if offer.points else "high" if offer.by_hand else "quiet"),
        Para(move.target, "stops"),
        Para(move.expect, "expect"),
        Para(move.verify, "seen by"),
        Para(str(offer.who), "who may"),
    ]
    if not move.reversible:
        paras.append(Para("It cannot be taken back.", "", "crit"))
    elif move.restore:
        paras.append(Para(move.restore, "taken back"))
    if move.destroys_evidence:
        paras.append(Para("It destroys evidence: keep what is needed first (K).", "", "crit"))
    if proof is None:
        paras.append(Para("never", "last proven", "high"))
    else:
        held = "held" if proof.held else f"DID NOT HOLD: {proof.note}"
        paras.append(
            Para(
                f"{hms(proof.at)}Z by {proof.by}, {proof.how}: {held}",
                "last proven",
                "ok" if proof.held else "crit",
            )
        )
    return [*paras, Para(move.verb, "verb", "quiet")]


def proposal_words(moves: Moves) -> str:
    """Return the words with which containment may be confirmed: what the newest order that passed has proved."""
    passed = [each for each in moves.in_force if each.judged is not None and each.judged.verdict == "pass"]
    if not passed:
        return ""
    order = passed[-1]
    return f"{title(order)}: {spoken(order)} ({summary(order)}), order {order.body.order}"
