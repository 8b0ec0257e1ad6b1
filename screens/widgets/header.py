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
    from console.containment.state import Moves, Order
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


def halt_pieces(moves: Moves, now: int) -> list[Piece]:
    """Return the header's words on what is being stopped: the stopwatch, then the verdict, then who is not held.

    What leaks or cannot be reached stays there by name until somebody dealt with it.
    """
    if not moves.orders:
        return []
    pieces: list[Piece] = []
    going = [
        each
        for each in moves.orders.values()
        if each.judged is None and not each.body.dry and not each.lifted
    ]
    holding = moves.in_force
    for order in going[-1:]:
        more = f" +{len(going) - 1}" if len(going) > 1 else ""
        counts = f"{order.held:,}/{len(order.targets):,}"
        pieces.append((f" {_name(order)} {clock(now - order.at)} {counts}{more} ", "alarm", 0))
    judged = [each for each in holding if each.judged is not None]
    if judged:
        failed = [each for each in judged if each.judged is not None and each.judged.verdict == "fail"]
        order = (failed or judged)[-1]
        verdict = "FAIL" if failed else "PASS"
        counts = f"{order.held:,}/{len(order.targets):,}"
        pieces.append((f"{_name(order)} {verdict} {counts}", "crit" if failed else "ok", 0 if failed else 1))
    worst = _unheld(holding)
    if worst:
        word, names = worst[0]
        shown = ", ".join(fit(name, 20).strip() for name in names[:2])
        rest = sum(len(each) for _, each in worst) - len(names[:2])
        pieces.append((f"{word} {shown}" + (f" +{rest:,}" if rest else ""), "crit", 0))
    return pieces


def _name(order: Order) -> str:
    return "RESTORE" if order.body.lifts else "HALT" if order.body.scope else "MOVE"


def _unheld(orders: list[Order]) -> list[tuple[str, list[str]]]:
    """Return whom nobody holds, by what is known of them, the worst first; after the verdict everybody who is open."""
    from console.containment.state import HELD  # not on the path to the first frame

    words = {"leaking": "LEAKING", "unreachable": "UNREACHED", "refused": "REFUSED"}
    found: dict[str, dict[str, None]] = {word: {} for word in (*words.values(), "NOT HELD")}
    for order in orders:
        judged = order.judged is not None
        for each in order.targets:
            state = each.state
            if state in HELD or each.answered is not None or each.lifted:
                continue
            if judged or state in words:
                found[words.get(state, "NOT HELD")][each.target.id] = None
    return [(word, list(names)) for word, names in found.items() if names]


class Header(StripLines):
    """Two lines above everything, one when the terminal is low."""

    def update(self, room: Room, desk: Desk, sight: Sight, now: int, moves: Moves) -> None:
        """Show the state at `now` (ns UTC). `sight`: knows what of it is shared; `moves`: what is being stopped."""
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
            ([*halt_pieces(moves, now), *self._clocks(state, now)], self._people(state)),
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
