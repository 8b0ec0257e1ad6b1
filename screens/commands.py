"""Everything a person can do here, once: key, palette, hints, help and docs/keys.md are all made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Pane = Literal[
    "",
    "alerts",
    "timeline",
    "checklist",
    "rollback",
    "incidents",
    "evidence",
    "playbook",
    "messages",
    "containment",
    "ledger",
]
Place = Literal["everywhere", "incident", "room", "evidence", "messages", "containment", "ledger", "home"]
"""Where a command exists; `incident`: in the room and on the screens that lie over it."""
OVER: tuple[Place, ...] = ("evidence", "messages", "containment", "ledger")
"""The screens that lie over the room."""
SCREENS: tuple[Place, ...] = ("room", *OVER, "home")


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether a command is possible right now."""

    place: Place = "room"
    pane: Pane = ""
    """The pane that has the focus."""
    selected: bool = False
    """Whether a row is selected in it."""
    firing: bool = False
    """Whether the selected alert still asks for somebody."""
    note: bool = False
    """Whether the selected timeline entry was written by a person."""
    row: str = ""
    """What the selected row of the evidence, of the messages, or of the playbooks is about."""
    step: frozenset[str] = frozenset()
    """What can be done with the selected step of a playbook."""
    message: frozenset[str] = frozenset()
    """What can be done with the selected message."""
    effect: frozenset[str] = frozenset()
    """What can be done with the marked effects, or with the selected effect or audit."""
    running: bool = False
    """Whether a step of a playbook runs, or will by itself."""
    holding: frozenset[str] = frozenset()
    """What can be done with the selected or marked rows of the containment screen."""
    contained: bool = False
    closed: bool = False
    filtered: bool = False
    writable: bool = True
    typing: bool = False


Possible = Callable[[Situation], str]
"""Returns an empty string when the command is possible, else the reason why not, as a sentence."""


def _always(_: Situation) -> str:
    return ""


def _write(now: Situation) -> str:
    return "" if now.writable else "This was opened for reading only: nothing can be changed from here."


def _in(pane: Pane, number: str, what: str, *, writes: bool = True) -> Possible:
    def possible(now: Situation) -> str:
        if writes and not now.writable:
            return _write(now)
        if now.pane != pane:
            return f"This works on {what}: press {number} first."
        return "" if now.selected else f"No {what.split(' ', 1)[1]} is selected."

    return possible


_alert = _in("alerts", "1", "an alert")
_entry = _in("timeline", "2", "a timeline entry")
_reading = _in("timeline", "2", "a timeline entry", writes=False)
_item = _in("checklist", "3", "a checklist item")


def _item_or_step(now: Situation) -> str:
    if now.pane != "playbook":
        return _item(now)
    return _write(now) or ("" if now.row == "step" else "No step is selected.")


def _step(can: str, why: str) -> Possible:
    def possible(now: Situation) -> str:
        if not now.writable:
            return _write(now)
        if now.pane != "playbook":
            return "This works on a step of a playbook: press 6 first."
        if now.row != "step":
            return "No step is selected."
        return "" if can in now.step else why

    return possible


def _runs(now: Situation) -> str:
    says = "Q decides" if "decide" in now.step else "Space says that it is done"
    return _step("run", f"This step runs nothing: {says}.")(now)


def _fillable(now: Situation) -> str:
    if now.pane != "playbook" or now.row not in ("step", "play"):
        return "This works on an open playbook: press 6 first."
    return _write(now)


def _stoppable(now: Situation) -> str:
    return _write(now) or ("" if now.running else "Nothing runs that could be stopped.")


def _settles(now: Situation) -> str:
    if now.pane == "playbook":
        return _step("settle", "Nothing is unknown about this step.")(now)
    return _entry(now)


def _message(can: str, why: str) -> Possible:
    def possible(now: Situation) -> str:
        if not now.writable:
            return _write(now)
        if now.row not in ("message", "delivery"):
            return "No message is selected: N drafts one."
        return "" if can in now.message else why

    return possible


def _holding(can: str, why: str, *, writes: bool = True) -> Possible:
    def possible(now: Situation) -> str:
        if writes and not now.writable:
            return _write(now)
        return "" if can in now.holding else why

    return possible


def _effect(can: str, why: str, *, writes: bool = True) -> Possible:
    def possible(now: Situation) -> str:
        return (_write(now) if writes else "") or ("" if can in now.effect else why)

    return possible


_class = _in("rollback", "4", "a rollback class")


def _own_words(now: Situation) -> str:
    return _entry(now) or (
        "" if now.note else "Only entries that a person wrote can be corrected; this one was not."
    )


def _waivable(now: Situation) -> str:
    if now.pane == "playbook":
        return _item_or_step(now)
    if now.pane not in ("checklist", "rollback"):
        return "Waiving works on a checklist item, a step or a rollback class: press 3, 6 or 4 first."
    return _write(now) or ("" if now.selected else "Nothing is selected.")


def _freezable(now: Situation) -> str:
    if now.pane in ("alerts", "timeline"):
        return ""
    return "Freezing works on the alerts or the timeline: press 1 or 2 first."


def _open_room(now: Situation) -> str:
    return _write(now) or ("This incident is closed; :reopen opens it again." if now.closed else "")


def _containable(now: Situation) -> str:
    return _open_room(now) or (
        "Containment is already confirmed; correct it in the timeline." if now.contained else ""
    )


def _harmable(now: Situation) -> str:
    return _open_room(now) or ("Containment is already confirmed." if now.contained else "")


def _row(kinds: str, what: str, *, writes: bool = True) -> Possible:
    def possible(now: Situation) -> str:
        if writes and not now.writable:
            return _write(now)
        return "" if now.row in kinds.split() else f"This works on {what} of the evidence screen (5)."

    return possible


def _takes_back(now: Situation) -> str:
    if now.place == "evidence":
        return _row("fork alarm exhibit", "a fork, an alarm or an exhibit")(now)
    return _entry(now)


def _entry_or_exhibit(now: Situation) -> str:
    return _row("exhibit", "an exhibit")(now) if now.place == "evidence" else _entry(now)


def _selected(now: Situation) -> str:
    return "" if now.selected else "Nothing is selected: move with the arrow keys first."


@dataclass(frozen=True, slots=True)
class Command:
    """One thing a person can do.

    Attributes:
        id: stable name; a keymap in the configuration maps it to other keys.
        keys: default keys, separated by commas; empty = only by name.
        title: what the palette shows.
        help: one sentence for the help screen and docs/keys.md.
        hint: a word for the hint line; empty = never shown there.
        place: where it exists.
        name: what the command line calls it; empty = not there.
        possible: see `Possible`.
        typing: whether its key also works while typing in the write bar.
    """

    id: str
    keys: str
    title: str
    help: str
    hint: str = ""
    place: Place = "room"
    name: str = ""
    possible: Possible = _always
    typing: bool = False

    @property
    def action(self) -> str:
        """The method of a screen that does it: `do_` and the id."""
        return "do_" + self.id.replace(".", "_")


COMMANDS: tuple[Command, ...] = (
    Command("halt", "f9,x", "HALT", "Stop agents: a digit for how much, Enter; also from every dialog, and F9 while typing. Opens an incident when there is none. Nobody needs a second person.", "HALT", "everywhere", "halt", _write, typing=True),
    Command("write.note", "i", "Write an entry", "Go to the write bar; Enter saves, Esc leaves.", "write", "incident", "write", _write),
    Command("write.decision", "exclamation_mark", "Write a decision", "Go to the write bar with the decision mark.", "", "incident", "decision", _write),
    Command("alert.ack", "a", "Acknowledge the alert", "Say that somebody works on the selected alert.", "ack", "everywhere", "ack", _alert),
    Command("alert.ack_note", "A", "Acknowledge with a note", "Acknowledge the selected alert and say what you do about it.", "", "everywhere", "acknote", _alert),
    Command("alert.ack_ended", "", "Acknowledge all that ended", "Acknowledge every alert that ended before anybody saw it, with one note.", "", "everywhere", "ackended", _write),
    Command("alert.silence", "s", "Silence the alert", "Ask for no attention for a while, with a reason.", "silence", "everywhere", "silence", _alert),
    Command("alert.link", "l", "Add the alert to this incident", "Copy the selected alert into this incident.", "link", name="link", possible=_alert),
    Command("open", "enter", "Open the selection", "Show everything about the selected row and what can be done with it.", "open", "everywhere", possible=_selected),
    Command("check.done", "space", "Tick the item", "The selected checklist item, or step of a playbook, is done; again: it is open.", "done", name="done", possible=_item_or_step),
    Command("check.claim", "b", "Claim the item", "I work on this item; again: nobody does.", "claim", name="claim", possible=_item),
    Command("check.skip", "minus", "Not applicable", "The selected checklist item, or step of a playbook, does not apply here, with a reason.", "n/a", name="na", possible=_item_or_step),
    Command("rollback.move", "r", "Move the rollback on", "Choose the next state of the selected class.", "act", name="rollback", possible=_class),
    Command("rollback.verify", "v", "Verify the rollback", "The effects of the selected class are undone, and that was checked.", "verify", name="verify", possible=_class),
    Command("rollback.hold", "h", "Hold the rollback", "Do not undo the selected class for now, with a reason.", "hold", name="hold", possible=_class),
    Command("waive", "w", "Waive", "The selected item, step or class is given up, with a reason.", "waive", name="waive", possible=_waivable),
    Command("entry.amend", "c", "Correct the entry", "Write a new version of the selected entry; the old one stays visible.", "correct", name="amend", possible=_own_words),
    Command("entry.retract", "t", "Take the entry back", "Strike the selected entry through, with a reason; again: it counts.", "retract", "incident", "retract", _takes_back),
    Command("entry.dispute", "d", "Dispute the entry", "Say that the selected entry is not so, with a reason; it goes on counting until that is settled.", "dispute", name="dispute", possible=_entry),
    Command("entry.settle", "u", "Settle the entry", "End the dispute about the selected entry, or choose among versions that stand side by side; of a step: say what became of a run whose effect nobody knows.", "settle", name="settle", possible=_settles),
    Command("entry.unmask", "X", "Look behind the mask", "Show the selected entry, or what an exhibit holds, without masks; that you looked, and why, goes on the record.", "unmask", "incident", "unmask", _entry_or_exhibit),
    Command("entry.amend_last", "f4,alt+up", "Correct my last entry", "Write a new version of what you wrote last.", "", name="amendlast", possible=_write, typing=True),
    Command("write.stamp", "f2,ctrl+t", "Stamp the time", "Put the time of now, UTC, into the write bar; first in an entry it says when that happened.", "", name="stamp", possible=_write, typing=True),
    Command("write.lines", "f6", "One entry per line", "Save each line of what is typed as an entry of its own.", "", typing=True, possible=_write),
    Command("undo", "z", "Undo my last change", "Take back your last tick, claim, severity, role or rollback step; the record keeps both.", "", "incident", "undo", _write),
    Command("filter.set", "slash", "Filter the timeline", "Show only entries with these words, marks, person or tag; ! in front turns it round.", "filter", name="filter"),
    Command("filter.clear", "backslash", "Clear the filter", "Show every entry again.", "", name="all", possible=lambda now: "" if now.filtered else "No filter is set."),
    Command("find", "f5,ctrl+r", "Find in the timeline", "Search all entries and jump to one.", "", name="find", typing=True),
    Command("time.next", "e", "Next alert line", "Go to the next tripwire alert in the timeline.", ""),
    Command("time.previous", "E", "Previous alert line", "Go to the previous tripwire alert in the timeline.", ""),
    Command("time.minute_back", "left_curly_bracket", "A minute back", "Move the timeline one minute back.", ""),
    Command("time.minute_on", "right_curly_bracket", "A minute on", "Move the timeline one minute on.", ""),
    Command("time.at", "", "Go to a time", "Move the timeline to a time of day, as in :at 14:05.", "", name="at"),
    Command("severity.set", "S", "Set the severity", "Choose 1 to 5 and say why.", "severity", "incident", "sev", possible=_open_room),
    Command("form.answer", "I", "Answer a form", "Questions answered with one key each, and what the rules propose: severity, how much to stop, the seven facts, roll back or restrict, seven questions.", "form", "incident", "form", possible=_write),
    Command("escalation.open", "W", "Who must be told", "Who must be told of this incident, why and by when; that somebody was told goes on the record.", "tell", "incident", "escalate"),
    Command("role.assign", "R", "Assign a role", "Give a role to a person, or take it back.", "roles", "incident", "role", possible=_open_room),
    Command("containment.confirm", "C", "Confirm containment", "State that the harm is contained; starts the rollback clocks.", "contain", "incident", "contain", possible=_containable),
    Command("harm.confirm", "H", "Confirm harm", "State that harm is confirmed; from here on containment is due within 30 seconds.", "harm", "incident", "harm", possible=_harmable),
    Command("update.promise", "", "Promise the next update", "When the next update is due, as in :next 14:30, or :next 20 for in 20 minutes.", "", "incident", "next", possible=_open_room),
    Command("update.write", "U", "Write an update", "Go to the write bar with the communication mark; saving it restarts the update clock.", "update", "incident", "update", possible=_open_room),
    Command("cadence.set", "", "Set the update interval", "How often an update goes out, in minutes, as in :cadence 30.", "", "incident", "cadence", possible=_open_room),
    Command("incident.title", "", "Change the title", "Give the incident a better title.", "", "incident", "title", possible=_open_room),
    Command("incident.close", "", "Close the incident", "The response is over; the record stays open for corrections.", "", "incident", "close", possible=_open_room),
    Command("incident.reopen", "", "Reopen the incident", "The response goes on.", "", "incident", "reopen", possible=lambda now: _write(now) or ("" if now.closed else "This incident is open.")),
    Command("incident.declare", "D", "Declare an incident", "Start an incident: title, a digit for severity, Enter.", "declare", "everywhere", "declare", _write),
    Command("focus.alerts", "1", "Alerts", "Go to the alerts; again: full screen.", "", "everywhere", "alerts"),
    Command("focus.timeline", "2", "Timeline", "Go to the timeline; again: full screen.", "", "incident", "timeline"),
    Command("focus.checklist", "3", "Checklist", "Go to the checklist; again: full screen.", "", "incident", "checklist"),
    Command("focus.rollback", "4", "Rollback", "Go to the rollback tracker; again: full screen.", "", "incident", "tracker"),
    Command("evidence.open", "5", "Evidence", "What is kept, where and by whom, who is on the roster, and whether it holds together; again: back to the room.", "evidence", "incident", "evidence"),
    Command("exhibit.show", "o", "Show the exhibit", "Show what the selected exhibit holds, checked against its hash; from there it can be saved to a file.", "show", "evidence", "show", _row("exhibit", "an exhibit", writes=False)),
    Command("evidence.attach", "F", "Attach a file", "Keep a file as evidence, byte by byte, with where it came from and why.", "attach", "incident", "attach", _write),
    Command("evidence.paste", "P", "Attach pasted text", "Keep pasted text as evidence, with why.", "paste", "incident", "paste", _write),
    Command("evidence.preserve", "K", "Keep telemetry", "Copy the telemetry of a trace, session, run, agent or alert into the record before the window rolls over it.", "keep", "incident", "preserve", _write),
    Command("hold", "Z", "Legal hold", "Set a hold: nothing that it covers can be erased; on a hold: lift it.", "hold", "incident", "legalhold", _write),
    Command("evidence.erase", "", "Erase for good", "Take the text or the files of the selected entry or exhibit away for good, by duty or by right; hash and place stay.", "", "incident", "erase", _entry_or_exhibit),
    Command("roster.admit", "M", "Compare words", "Compare the words of the selected console with whoever works at it, and put it on the roster.", "compare", "evidence", "admit", _row("member stranger", "a console")),
    Command("roster.expel", "", "Take off the roster", "What the selected console writes from now on does not count.", "", "evidence", "expel", _row("member", "a member of the roster")),
    Command("roster.revoke", "", "Revoke the key", "Nothing counts that was written with the selected console's key since a time.", "", "evidence", "revoke", _row("member", "a member of the roster")),
    Command("record.verify", "V", "Verify the record", "Check every byte of the record, beside everything else; again: end that.", "verify", "incident", "verifyrecord"),
    Command("record.seal", "", "Write a checkpoint", "Put on the record where every strand ends: a witness for the others once it is shared.", "", "incident", "seal", _write),
    Command("record.share", "", "Share now", "Take the next turn with every remote at once, without waiting for its time.", "", "incident", "share"),
    Command("focus.playbook", "6", "Playbooks", "Go to the playbooks, beside the timeline; again: full screen.", "", "incident", "playbook"),
    Command("play.open", "O", "Open a playbook", "Open the selected playbook of the library in this incident, or the one that is named, as in :open cost-runaway.", "open it", name="open", possible=_open_room),
    Command("play.close", "", "Close the playbook", "Nobody works through the selected playbook any more; what was done with it stays.", "", name="closeplaybook", possible=_fillable),
    Command("play.fill", "equals_sign", "Fill in values", "Fill in what the selected step needs; on the head of a playbook: all of its values.", "values", name="fill", possible=_fillable),
    Command("play.dry", "p", "Dry run", "Run the selected step without its effect; what knows no dry run is shown only.", "dry run", name="dry", possible=_runs),
    Command("play.run", "greater_than_sign", "Run for real", "Show exactly what would run and its effect; Enter runs it.", "FOR REAL", name="run", possible=_runs),
    Command("play.next", "n", "Next open step", "Go to the step of the playbook that is due.", "", name="nextstep", possible=_fillable),
    Command("play.approve", "Y", "Approve the step", "Let the selected step run once, exactly as it is filled in now.", "approve", name="approve", possible=_step("approve", "This step needs no approval now.")),
    Command("play.decide", "Q", "Answer the decision", "Choose one way out of the selected decision, with a reason.", "decide", name="decide", possible=_step("decide", "This step is no decision.")),
    Command("play.exempt", "", "Exempt from the freeze", "Let the selected step through the change freeze of this incident, with a reason.", "", name="exempt", possible=_step("run", "This step runs nothing.")),
    Command("play.grant", "J", "Let it run by itself", "Let the selected step run by itself for a time, with a reason: announced before, recorded after, and T stops it.", "", name="grant", possible=_step("grant", "The playbook does not let this step run by itself.")),
    Command("play.stop", "T,f12", "Stop the run", "What would run by itself never begins; else the run that goes on is ended, with all that it started; else nothing may run by itself any more.", "stop", "incident", "stop", _stoppable, typing=True),
    Command("focus.messages", "7", "Messages", "What others are told, how far each message is, and when the next update is due; again: back to the room.", "messages", "incident", "messages"),
    Command("message.draft", "N", "Draft a message", "Draft a message from a template and the record, as in :draft internal-update; nothing is sent.", "new", "incident", "draft", _open_room),
    Command("message.page", "B", "Page somebody", "Wake somebody through the senders that page, or acknowledge or resolve the page.", "page", "incident", "page", _write),
    Command("message.edit", "c", "Edit the words", "Change subject and text of the selected message; what is in the way is said while you type.", "edit", "messages", "edit", _message("edit", "It is on its way or has gone out: N drafts a correction.")),
    Command("message.save", "f8", "Save the words", "Put the words that are being edited on the record; an approval of the words before is over.", "", "messages", "saveedit", typing=True, possible=_write),
    Command("message.fill", "equals_sign", "Fill in facts", "Supply the facts that the selected message needs, what is missing first.", "facts", "messages", "facts", _message("fill", "This message asks for no facts that could still be filled in.")),
    Command("message.waive", "w", "Let a finding stand", "Let something stand that the check found, with a reason.", "waive", "messages", "letstand", _message("waive", "Nothing about this message can be waived.")),
    Command("message.approve", "Y", "Approve the message", "Let the selected message go out, in exactly these words.", "approve", "messages", "approvemessage", _message("approve", "This message needs no approval now.")),
    Command("message.send", "greater_than_sign", "Send the message", "Show the words, choose the senders; Enter sends it.", "SEND", "messages", "send", _message("send", "It was taken back: N drafts a new one.")),
    Command("message.cancel", "minus", "Take the message back", "Keep the selected message from going out, as far as it has not; on a delivery: from there only.", "take back", "messages", "cancel", _message("cancel", "Nothing of it can be taken back; N drafts a correction.")),
    Command("message.settle", "u", "Settle the delivery", "Say what became of a message of which nobody knows whether it went out.", "settle", "messages", "settledelivery", _message("settle", "Nothing is unknown about this message.")),
    Command("message.resume", "", "Go on sending", "Go on with the messages that are on their way, and say when the next try is.", "", "incident", "resume", _write),
    Command("focus.containment", "0", "Containment", "What was ordered to stop, how far each target is, what nobody dealt with yet, the other moves, what is held in queues, and what has no working stop; again: back to the room.", "containment", "incident", "containment"),
    Command("containment.mark", "space", "Mark the row", "Mark the selected row; what is done next is done with all that are marked. Again: no mark.", "mark", "containment", "markrow", _holding("mark", "This row cannot be marked.", writes=False)),
    Command("containment.answer", "u", "Deal with a target", "Say how a target was dealt with that the console could not hold, and what shows it.", "dealt with", "containment", "dealt", _holding("answer", "This works on a target that is not held.")),
    Command("containment.restore", "r", "Let it go on", "Let the marked targets, or the one under the cursor, go on again, with a reason; on an order: all of it.", "restore", "containment", "restore", _holding("restore", "This works on an order, or a target, that holds.")),
    Command("containment.receipt", "o", "Show the receipt", "Who ordered what and why, the times of every state of each target, and the verdict.", "receipt", "containment", "receipt", _holding("receipt", "This works on an order or one of its targets.", writes=False)),
    Command("containment.plan", "p", "Dry run", "Show what the selected move would send, and to whom; nothing is sent.", "dry run", "containment", "plan", _holding("carry", "This works on a move.", writes=False)),
    Command("containment.carry", "greater_than_sign", "Carry it out", "Carry the selected move out, after everything that it would send was shown.", "FOR REAL", "containment", "carryout", _holding("carry", "This works on a move.")),
    Command("containment.release", "l", "Release the action", "Let the marked held actions be carried out, once, with a reason.", "release", "containment", "release", _holding("decide", "This works on a held action.")),
    Command("containment.drop", "d", "Drop the action", "Never let the marked held actions be carried out, with a reason.", "drop", "containment", "drop", _holding("decide", "This works on a held action.")),
    Command("containment.hold", "h", "Hold the action on", "Keep the marked held actions waiting, and say so.", "hold", "containment", "holdaction", _holding("decide", "This works on a held action.")),
    Command("containment.look", "e", "Ask the queues", "Ask every queue what it holds, and carry out what was decided and is not known to have happened.", "ask queues", "containment", "queues", _write),
    Command("containment.fire", "f", "Live fire", "Stop the selected canary for real, see it stand still, and let it go on: that proves the stop.", "live fire", "containment", "fire", _holding("fire", "This works on a point that is a canary.")),
    Command("focus.ledger", "L", "Ledger of effects", "What agents did outside, effect by effect, how far undoing each is, and the audits that follow; on a rollback class: its effects. Again: back to the room.", "ledger", "incident", "ledger"),
    Command("effects.draft", "l", "List effects from telemetry", "Read the telemetry of the incident's agents and list every side effect that it tells of; what is listed stays.", "list", "ledger", "draftledger", _open_room),
    Command("effects.add", "e", "Write an effect down", "List an effect that no telemetry tells of, such as one that an audit found.", "", "ledger", "addeffect", _open_room),
    Command("effects.mark", "space", "Mark the effect", "Mark the selected effect; what is done next is done with all that are marked. Again: no mark.", "mark", "ledger", "markeffect", _effect("mark", "This is no effect.", writes=False)),
    Command("effects.mark_all", "asterisk", "Mark all that are shown", "Mark every effect that fits the filter; again: none.", "all", "ledger", "markall"),
    Command("effects.dry", "p", "Dry run of the reversal", "Show what reversing the effects would do; nothing changes.", "dry run", "ledger", "dryreverse", _effect("work", "This works on effects.")),
    Command("effects.reverse", "greater_than_sign", "Reverse for real", "Reverse the effects, each through the reversal of its class, after what runs was shown.", "FOR REAL", "ledger", "reverse", _effect("work", "This works on effects.")),
    Command("effects.stop", "minus", "Stop the reversal", "Begin no further effect; what has begun comes to its end or is looked at.", "stop", "ledger", "stopreversal", _effect("stop", "Nothing is being reversed from here.")),
    Command("effects.reconcile", "u", "Say whether it happened", "Say of effects, or of reversals, of which nobody knows whether they happened, what you saw at the other side.", "reconcile", "ledger", "reconcile", _effect("reconcile", "Nothing is unclear about this: it is known whether it happened.")),
    Command("effects.substitute", "b", "Done instead", "Say what was done instead of undoing: a compensating action, a notice, a disclosure.", "instead", "ledger", "substitute", _effect("work", "This works on effects.")),
    Command("effects.verify", "v", "Verify", "Run the check of the class over effects that are undone, or say how you checked them.", "verify", "ledger", "verifyeffects", _effect("work", "This works on effects.")),
    Command("effects.move", "m", "Move on by hand", "Say how far undoing the effects is: being undone, reversed, open again, or that there is nothing to undo.", "move", "ledger", "moveeffects", _effect("work", "This works on effects.")),
    Command("effects.waive", "w", "Leave as it is", "Give undoing the effects up, with a reason.", "waive", "ledger", "waiveeffects", _effect("work", "This works on effects.")),
    Command("effects.classify", "number_sign", "Put into a class", "Say to which action class the effects belong.", "class", "ledger", "classify", _effect("work", "This works on effects.")),
    Command("effects.audit", "c", "Close or open the audit", "Close the selected audit with what shows that it is complete; one that waits is opened.", "audit", "ledger", "audit", _effect("audit", "This works on an audit that is not closed.")),
    Command("effects.extend", "n", "Extend the incident", "A finding reaches further: name agents whose effects belong to this incident too.", "", "ledger", "extend", _open_room),
    Command("effects.filter", "f", "Filter the ledger", "Show only effects of a class, in a state, of an agent or principal, or with some words.", "filter", "ledger", "ledgerfilter"),
    Command("effects.find", "slash", "Words in the ledger", "Show only effects in which all of these words stand.", "words", "ledger", "ledgerwords"),
    Command("effects.clear", "backslash", "Show all effects", "Take the filter away; marks stay.", "", "ledger", "ledgerall", lambda now: "" if now.filtered else "No filter is set."),
    Command("view.zoom", "plus", "Bigger, or back", "Give the pane in use the whole screen; again: all panes.", "zoom", name="zoom"),
    Command("view.freeze", "f", "Freeze, or go on", "Hold the alerts or the timeline still while you read; arrivals are counted. Again: go on.", "freeze", name="freeze", possible=_freezable),
    Command("mark.set", "m", "Mark the entry", "Mark the selected timeline entry for as long as this room is open; again: no mark.", "", name="mark", possible=_reading),
    Command("mark.next", "apostrophe", "Next mark", "Go to the next marked entry; after the last, to the first.", ""),
    Command("home", "less_than_sign", "All incidents", "Leave this room; the draft stays where it is.", "home", "incident", "inc"),
    Command("contacts.open", "8", "Links and contacts", "Whom and what your organisation filled in: who is told, dashboards and other links, who may.", "", "everywhere", "contacts"),
    Command("readiness.open", "9", "Readiness", "Which questions about readiness are answered, what is missing, and who closes the gap; y, n and u answer one.", "", "everywhere", "readiness"),
    Command("copy", "y", "Copy", "Copy the id of the selection to the clipboard of the terminal.", "", "everywhere", "copy", _selected),
    Command("command.line", "colon", "Command line", "Type a command by name; Tab completes.", "command", "everywhere"),
    Command("command.palette", "ctrl+p", "Palette", "Search all commands.", "palette", "everywhere", typing=True),
    Command("theme", "", "Change the theme", "Dark, light, high contrast, colour-blind or the terminal's own colours.", "", "everywhere", "theme"),
    Command("help", "question_mark,f1", "Help", "Keys and what they do here.", "help", "everywhere", "help", typing=True),
    Command("quit", "ctrl+q", "Quit", "Leave; asks first when something is typed and not saved.", "", "everywhere", "q", typing=True),
)  # fmt: skip

BY_ID: dict[str, Command] = {command.id: command for command in COMMANDS}
BY_NAME: dict[str, Command] = {command.name: command for command in COMMANDS if command.name}


def commands_for(place: Place) -> list[Command]:
    """Return the commands that exist at `place`, those that exist everywhere included."""
    return [command for command in COMMANDS if exists(command, place)]


def exists(command: Command, place: Place) -> bool:
    """Return whether `command` is one of `place`."""
    return command.place in (place, "everywhere") or (
        command.place == "incident" and place in ("room", *OVER)
    )


def meet(one: Command, other: Command) -> bool:
    """Return whether there is a screen on which both exist: there they cannot have the same key."""
    return any(exists(one, place) and exists(other, place) for place in SCREENS)


ELSEWHERE: dict[Place, str] = {
    "room": "This belongs to the room: press Esc first.",
    "incident": "This belongs to an incident: open one with Enter.",
    "evidence": "This belongs to the evidence screen: press 5 first.",
    "messages": "This belongs to the messages: press 7 first.",
    "containment": "This belongs to the containment screen: press 0 first.",
    "ledger": "This belongs to the ledger of effects: press L first.",
    "home": "This belongs to the list of incidents: press <.",
}
"""Why a command that belongs to another place is not possible here."""


def reason(command: Command, now: Situation) -> str:
    """Return why `command` is not possible now, as a sentence; empty when it is."""
    if not exists(command, now.place):
        return ELSEWHERE["incident" if now.place == "home" else command.place]
    return command.possible(now)
