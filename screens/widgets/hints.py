"""The hint line: the keys that are worth pressing now, from the same command objects as everything else."""

from __future__ import annotations

from collections.abc import Mapping

from screens.commands import BY_ID, Situation, reason
from screens.keymap import shown
from screens.widgets.strips import Piece, StripLines

ORDER: dict[str, tuple[str, ...]] = {
    "": ("write.note",),
    "alerts": ("alert.ack", "open", "alert.silence", "alert.link", "incident.declare", "write.note"),
    "timeline": (
        "write.note",
        "open",
        "entry.amend",
        "entry.retract",
        "entry.dispute",
        "filter.set",
        "view.freeze",
    ),
    "checklist": ("check.done", "check.claim", "check.skip", "waive", "open", "write.note"),
    "rollback": (
        "rollback.move",
        "rollback.verify",
        "rollback.hold",
        "waive",
        "open",
        "focus.ledger",
        "containment.confirm",
    ),
    "ledger": (
        "effects.stop",
        "effects.reconcile",
        "effects.audit",
        "effects.dry",
        "effects.reverse",
        "effects.verify",
        "effects.substitute",
        "effects.mark",
        "effects.filter",
        "open",
        "effects.find",
        "effects.move",
        "effects.waive",
        "effects.draft",
        "effects.mark_all",
        "effects.classify",
    ),
    "playbook": (
        "play.stop",
        "entry.settle",
        "play.decide",
        "play.dry",
        "play.run",
        "play.approve",
        "check.done",
        "play.fill",
        "check.skip",
        "play.open",
        "open",
        "write.note",
    ),
    "messages": (
        "message.settle",
        "message.fill",
        "message.edit",
        "message.approve",
        "message.send",
        "message.waive",
        "message.draft",
        "message.cancel",
        "open",
        "message.page",
    ),
    "containment": (
        "containment.answer",
        "containment.restore",
        "containment.release",
        "containment.drop",
        "containment.hold",
        "containment.mark",
        "containment.receipt",
        "containment.fire",
        "containment.carry",
        "containment.plan",
        "open",
        "containment.confirm",
    ),
    "incidents": ("open", "incident.declare"),
    "evidence": (
        "exhibit.show",
        "roster.admit",
        "entry.retract",
        "open",
        "record.verify",
        "evidence.attach",
        "evidence.preserve",
        "hold",
        "evidence.paste",
    ),
}
ALWAYS = (
    "halt",
    "severity.set",
    "containment.confirm",
    "update.write",
    "role.assign",
    "form.answer",
    "escalation.open",
    "evidence.open",
    "home",
    "command.line",
    "help",
)


class Hints(StripLines):
    """One line of keys; impossible ones are left out here and say why when pressed."""

    def update(self, now: Situation, keymap: Mapping[str, tuple[str, ...]]) -> None:
        """Show what is possible in `now`."""
        if now.typing:
            save = ("F8" if now.place == "messages" else "Enter", "strong", 0)
            self.show(
                (
                    [
                        save,
                        ("save", "quiet", 0),
                        ("Esc", "strong", 0),
                        ("leave, draft stays", "quiet", 0),
                        *self._halt(keymap),
                    ],
                    [],
                )
            )
            return
        pieces: list[Piece] = []
        wanted = [*ORDER.get(now.pane, ()), *(name for name in ALWAYS if name not in ORDER.get(now.pane, ()))]
        for place, name in enumerate(wanted):
            command = BY_ID[name]
            if command.hint and keymap[name] and not reason(command, now):
                keep = 0 if name in ("halt", "help", "command.line") else place + 1
                pieces.append((f"{shown(keymap[name][0])} {command.hint}", "", keep))
        self.show((pieces, []))

    def _halt(self, keymap: Mapping[str, tuple[str, ...]]) -> list[Piece]:
        """The key that stops agents also while somebody types."""
        keys = [key for key in keymap["halt"] if len(key) > 1]
        return [(f"{shown(keys[0])} HALT", "", 1)] if keys else []
