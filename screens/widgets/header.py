"""The header: which incident, how bad, live or drill, which clock matters next, who does what, is the record safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.routing import headline
from console.shown import visible
from screens.display import fit
from screens.kept import Sight, record_pieces
from screens.times import SECOND, clock, hms
from screens.widgets.strips import FLEX, Piece, StripLines

if TYPE_CHECKING:
    from console.alerts import Board
    from console.desk import Desk
    from console.incident import Incident
    from console.room import Room

CONTAIN_WITHIN = 30 * SECOND
"""From confirmed harm to containment (S003-KS-1)."""
ROLES = {"ic": "IC", "ops": "ops", "security": "sec", "scribe": "scribe", "comms": "comms"}
"""How the header calls the roles that it knows; others go by their id."""


def alert_pieces(board: Board, now: int) -> list[Piece]:
    """Return the header's words on the alerts: what goes on counts apart from what ended unseen."""
    asking = [alert for alert in board.alerts.values() if alert.asks(now)]
    firing = [alert for alert in asking if not alert.ended]
    if not asking:
        return [("0 unacked", "quiet", 4)]
    pieces: list[Piece] = []
    if firing:
        paging = any(alert.facts.pages for alert in firing)
        mark = "✖" if paging else "▲"
        pieces.append((f"{mark} {len(firing)} unacked", "crit" if paging else "high", 0))
    if len(asking) > len(firing):
        pieces.append((f"{len(asking) - len(firing)} ended unacked", "high", 4 if firing else 0))
    return pieces


def watcher_piece(desk: Desk) -> Piece:
    """Return the header's word on the watcher: silence without a watcher means nothing."""
    if desk.watched:
        return ("watching", "quiet", 6)
    return ("NOT WATCHING", "crit" if desk.watch_trouble else "high", 1)


def mode_piece(mode: str) -> Piece:
    """Return the word that nobody may miss."""
    return (" DRILL ", "drill", 0) if mode == "drill" else ("LIVE", "quiet", 5)


class Header(StripLines):
    """Two lines above everything, one when the terminal is low."""

    def update(self, room: Room, desk: Desk, sight: Sight, now: int) -> None:
        """Show the state at `now` (ns UTC). `sight`: knows what of it is shared."""
        state = room.incident
        label = fit(state.label, 20).strip()
        severity = f"SEV{state.severity}" + (
            "" if label.replace("-", "").upper() == f"SEV{state.severity}" else f" {label}"
        )
        tone = "crit" if state.severity == 1 else "high" if state.severity == 2 else "strong"
        first: list[Piece] = [(state.code, "strong", 0), (severity, tone, 0), mode_piece(state.mode)]
        if state.triage.led is not None:
            first.append(("SECURITY LEADS", "crit", 0))
        if not state.open:
            first.append((f"CLOSED {hms(state.closed_at)}", "held", 0))
        first.append((visible(state.title, 100), "", FLEX))
        record = record_pieces(room, desk, sight, now, self.size.width)
        self.show(
            (first, [watcher_piece(desk), *alert_pieces(desk.board, now), *record]),
            (self._clocks(state, now), self._people(state)),
        )

    def _clocks(self, state: Incident, now: int) -> list[Piece]:
        pieces: list[Piece] = []
        if (coming := state.plays.coming) is not None:
            wait = f" in {clock(coming[0] - now)}" if coming[0] > now else ""
            pieces.append((f" BY ITSELF{wait}, T stops ", "alarm", 0))
        end = state.closed_at or now
        due = state.next_update_due
        if due is not None:
            late = due < now
            pieces.append(
                (
                    f"UPDATE OVERDUE {clock(now - due)}" if late else f"update in {clock(due - now)}",
                    "crit" if late else "",
                    1,
                )
            )
        harm = state.stamps.get("harm_confirmed")
        if state.contained_at is not None:
            pieces.append((f"contained {clock(end - state.contained_at)}", "ok", 1))
            worst = [found[1] for row in state.rollback.values() if (found := state.worst(row))]
            if worst:
                nearest = min(worst) - now
                pieces.append(
                    (
                        f"rollback {'OVER' if nearest < 0 else 'in'} {clock(abs(nearest))}",
                        "crit" if nearest < 0 else "",
                        3,
                    )
                )
        elif harm is not None:
            since = now - harm.at
            late = since > CONTAIN_WITHIN
            pieces.append((f"NOT CONTAINED, harm {clock(since)}" + (" > 30 s" if late else ""), "crit", 0))
        else:
            pieces.append(("NOT CONTAINED", "high", 1))
        if overdue := len(state.overdue(now)):
            pieces.append((f"{overdue} overdue", "crit", 1))
        telling = headline(state, now)
        pieces.append((telling.waiting, "high", 0))
        pieces.append((visible(telling.clock, 60), "crit" if "LATE" in telling.clock else "high", 1))
        pieces.append((visible(telling.longest, 60), "high", 6))
        pieces.append((f"declared {clock(end - state.declared_at)}", "quiet", 3))
        action = state.stamps.get("action")
        if action is not None:
            pieces.append((f"action {clock(end - action.at)}", "quiet", 4))
        return pieces

    def _people(self, state: Incident) -> list[Piece]:
        known = [role for role in ROLES if role in state.roles] + [
            role for role in state.roles if role not in ROLES
        ]
        pieces: list[Piece] = [
            (
                f"{ROLES.get(role, fit(role, 10).strip())} {fit(' '.join(state.roles[role]), 24).strip()}",
                "",
                5 + place,
            )
            for place, role in enumerate(known)
        ]
        from console.incident import COMMANDER

        if COMMANDER not in state.roles:
            pieces.insert(0, ("NO COMMANDER", "high", 2))
        return pieces
