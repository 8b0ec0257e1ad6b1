"""What there is to read about a playbook and about one of its steps, and what stands in its way."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.runner.fill import Unfilled, fill, said
from console.runner.refusal import Code, Refusal
from console.runner.rules import approvers
from console.shown import visible
from screens.times import hms, stamp
from screens.widgets.playbook import Book, in_the_way, number
from screens.widgets.sheet import Para

if TYPE_CHECKING:
    from console.runner.player import Player
    from console.runner.state import Play, Run, StepState

LIVE = 8
"""Lines of what a run prints that stand first while it goes on."""
NAMED = 48
"""Cells of the words of a step in a sentence about it."""
KEYS: dict[Code, str] = {
    "actuator": "Do it by hand, then Space.",
    "approval": "Y approves.",
    "approver": "",
    "automatic": "",
    "closed": "O opens it again.",
    "confirm": "Type its name once more.",
    "decision": "Q decides.",
    "freeze": "If it belongs to this incident: :exempt and why.",
    "grant": ":grant lets it.",
    "grant_time": "As in 1 h.",
    "grants": "T ends all of them.",
    "least": "w goes on without it.",
    "manual": "Space says that it is done.",
    "no_playbook": "O opens one.",
    "no_step": "",
    "option": "",
    "over": ":reopen goes on with it.",
    "playbooks": "Put the cursor on one.",
    "reason": "Say why in one line.",
    "role": "",
    "running": "T ends it.",
    "saw": "In one line, as in: the flag reads off in the console.",
    "settled": "Space opens it again.",
    "snapshot": "> on that step keeps it, w there waives it.",
    "snapshot_none": "Keep one with F, do it by hand, then Space and name it as evidence.",
    "unclear": "Look, then u says what became of it.",
    "values": "= fills in.",
    "view": "Enter shows where it stands.",
}  # fmt: skip
"""What to press next, by what is in the way."""
WORDS = {"open": "open", "done": "done", "not_applicable": "not applicable", "waived": "WAIVED",
         "running": "RUNNING", "unclear": "UNKNOWN EFFECT", "failed": "FAILED"}  # fmt: skip


def would_run(player: Player, play: Play, state: StepState, *, dry: bool = False) -> str:
    """Return exactly what would run; what is missing stays a placeholder. Empty: nothing runs."""
    step = state.step
    try:
        filled = fill(step, play, player.values(play), dry=dry)
    except Unfilled:
        if step.command is not None:
            return shlex.join(step.command.dry_run if dry else step.command.argv)
        return f"{step.http.method} {step.http.url}" if step.http is not None else ""
    return filled.text if filled is not None else ""


def named(player: Player, play: Play, state: StepState) -> str:
    """Return a step in words, as its row does: an id is on no row."""
    text = visible(said(state.step.text, player.values(play)), NAMED)
    return f"step {number(play, state.step.id)}, {text}"


def in_keys(
    refusals: Sequence[Refusal], play: Play | None = None, state: StepState | None = None
) -> list[str]:
    """Return what is in the way, one sentence each, with the key that takes it away.

    Args:
        refusals: what is in the way.
        play: the playbook that the refusals are about, if one is meant.
        state: the step that they are about: its row is in sight, and its id is not.
    """
    said_so = []
    for each in refusals:
        what, key = each.what, KEYS[each.code]
        if state is not None and what.startswith(f"{state.step.id} "):
            what = f"This step {what.removeprefix(f'{state.step.id} ')}"
        if each.code == "snapshot" and play is not None and (place := number(play, each.about)):
            what = f"Snapshot first: step {place} keeps a copy of what this step destroys."
        assign = "R assigns the role." if each.vacant else ""
        # The form that fills in asks in the words of the playbook.
        instead = "" if each.code == "values" else each.instead
        said_so.append(" ".join(filter(None, (what, instead, assign, key))))
    return said_so


def about_step(player: Player, play: Play, state: StepState, output: Sequence[str]) -> list[Para]:
    """Return everything about a step. `output`: what its newest run here printed, the last lines."""
    step, known = state.step, player.values(play)
    paras = [Para(said(step.text, known), f"step {number(play, step.id)}", "strong")]
    real, running = state.real, state.running
    if state.standing == "unclear" and real is not None:
        paras.append(
            Para("Nobody knows whether it took effect: look at the system, then u.", "UNKNOWN", "crit")
        )
        paras.append(Para(real.note, "", "crit"))
    elif running is not None:
        paras.append(Para(f"since {hms(running.at)}, by {running.by}; T ends it", "RUNNING", "info"))
        if output:
            paras.append(Para("\n".join(output[-LIVE:]), "it prints", agent=True))
    else:
        mark = f"{WORDS[state.standing]} {stamp(state.at)} {state.by} {state.reason}" if state.at else ""
        paras.append(Para(mark.strip() or WORDS[state.standing], "state"))
    paras += [
        Para(each, "in the way", "high") for each in in_keys(in_the_way(player, play, state), play, state)
    ]
    if step.acts:
        paras.append(Para(would_run(player, play, state), "for real"))
        if step.command is not None:
            dry = would_run(player, play, state, dry=True) or "shown only: it knows no dry run"
            paras.append(Para(dry, "dry run", "quiet"))
    if step.decision is not None:
        paras.append(Para(said(step.decision.question, known), "question"))
        paras += [Para(f"{each.id}: {said(each.text, known)}") for each in step.decision.options]
    if step.wait is not None:
        least = f"; {step.wait.least} s at least" if step.wait.least else ""
        paras.append(Para(f"{said(step.wait.until, known)}{least}", "until"))
    granted = player.plays.grant(play, step, player.room.clock.now())
    if granted is not None:
        by = f"until {hms(granted[1].until)}, {granted[1].by} lets it: {granted[1].body.reason}"
        paras.append(Para(by, "BY ITSELF", "high"))
    for label, text in (("expect", step.expect), ("verify", step.verify), ("help", step.help)):
        if text:
            paras.append(Para(said(text, known), label))
    held = " ".join(player.incident.roles.get(step.role, ()))
    paras.append(Para(f"{step.role}: {held or 'nobody has the role; R assigns it'}", "owner"))
    roles = approvers(step, state.section, player.incident.severity)
    if roles:
        names = ", ".join(f"{each.by} ({each.role})" for each in state.approvals)
        paras.append(Para(f"approved by {names}" if names else f"needs {' or '.join(roles)}", "approval"))
    if step.destroys_evidence:
        paras.append(Para("DESTROYS EVIDENCE: it is gone for good", "effect", "crit"))
    paras.append(Para(step.reach, "reaches"))
    if state.option:
        paras.append(Para(state.option, "decided"))
    if state.evidence:
        paras.append(Para(state.evidence, "evidence"))
    paras += [Para(run_line(run), "run", "quiet") for run in reversed(state.runs)]
    if output and running is None:
        paras.append(Para("\n".join(output), "it printed", agent=True))
    return [*paras, Para(" ".join(step.sources) or "-", "from", "quiet"), Para(step.id, "id", "quiet")]


def run_line(run: Run) -> str:
    """Return one run in a line."""
    word = f"; a person says: {run.word}" if run.word else ""
    note = f". {run.note}" if run.note else ""
    return f"{stamp(run.at)} {_how(run)} by {run.by}: {_ended(run)}{word}{note}"


def run_end(run: Run, step: str) -> str:
    """Return how a run of `step` ended, in a line that may be cut at its end: what became of it comes first."""
    goes_on = "; n goes on" if run.outcome in ("done", "") and not run.dry else ""
    note = f". {run.note}" if run.note else ""
    return f"{_how(run)} {_ended(run)}{goes_on}{note} · {step}"


def _how(run: Run) -> str:
    return "dry run" if run.dry else "by itself" if run.automatic else "for real"


def _ended(run: Run) -> str:
    code = f", exit {run.exit}" if run.exit is not None else f", status {run.status}" if run.status else ""
    ended = (run.outcome or "goes on").replace("_", " ")
    return f"{ended}{code}, {run.milliseconds / 1000:.1f} s"


def about_play(player: Player, play: Play) -> list[Para]:
    """Return everything about an open playbook as a whole."""
    book, given = play.document, player.given(play)
    paras = [
        Para(f"{book.title} ({book.version})", "playbook", "strong"),
        Para(book.summary, "about"),
        Para(f"{play.done} of {len(play.steps)} steps are settled", "state"),
        Para(f"{stamp(play.opened_at)} {play.opened_by} {play.why}", "opened"),
    ]
    paras += [Para(each.reason, "FROZEN", "high") for each in player.plays.freezes.values()]
    for value in book.values:
        found = given.get(value.name)
        says = f"is missing: {value.ask}" if found is None else f"= {found.text} ({found.origin})"
        paras.append(Para(f"{value.name} {says}", "value", "high" if found is None else ""))
    return paras


def about_book(book: Book) -> list[Para]:
    """Return what the library says about a playbook that is not open."""
    paras = [Para(book.title, "playbook", "strong"), Para(book.summary, "about")]
    if book.reason:
        paras.append(Para(book.reason, "proposed", "info"))
    paras += [Para(each, "sign") for each in book.triggers]
    return [*paras, Para("O opens it in this incident", ""), Para(book.id, "id", "quiet")]
