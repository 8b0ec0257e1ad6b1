"""The alerts pane: what the tripwires say, what asks for somebody first."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING

from screens.display import fit
from screens.times import age, hm
from screens.widgets.rows import Cells, ListRows

if TYPE_CHECKING:
    from console.alerts import Alert

_RANK = {"firing": 0, "unseen": 1, "acknowledged": 2, "silenced": 3, "ended": 4}


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert as it is drawn. Equal rows look alike, so that nothing is repainted for nothing."""

    id: str
    rank: int
    opened_at: int
    level: str
    tone: str
    age: str
    rule: str
    agent: str
    state: str
    mine: bool
    asks: bool
    pages: bool

    @classmethod
    def of(cls, alert: Alert, now: int, mine: bool) -> AlertRow:
        """Return how `alert` looks at `now` (ns UTC). `mine`: it belongs to the incident on the screen."""
        facts, state, asks = alert.facts, alert.state(now), alert.asks(now)
        unseen = state == "ended" and asks
        if not asks:
            level, tone = ("· CRIT" if facts.pages else "· HIGH"), "quiet"
        else:
            level, tone = ("✖ CRIT", "crit") if facts.pages else ("▲ HIGH", "high")
        return cls(
            alert.id,
            _RANK["unseen" if unseen else state],
            alert.opened_at,
            level,
            tone,
            age(now - alert.opened_at),
            facts.rule,
            facts.agent,
            _words(alert, state, unseen),
            mine,
            asks,
            facts.pages,
        )


def _words(alert: Alert, state: str, unseen: bool) -> str:
    if unseen:
        return "ENDED, no ack"
    match state:
        case "acknowledged":
            return f"ack {alert.acknowledged_by}"
        case "silenced":
            return f"quiet to {hm(alert.silenced_until)}" if alert.silenced_until else "quiet to end"
        case "ended":
            return "ended"
        case _:
            return "FIRING"


def alert_rows(alerts: Iterable[Alert], now: int, mine: Collection[str]) -> list[AlertRow]:
    """Return the rows of `alerts`, most urgent first: what asks for somebody, what pages, the newest.

    In a storm only the `MOST` most urgent become rows: the pane is for people, and its title counts them all.
    """
    urgent = nsmallest(MOST, alerts, key=lambda alert: _urgency(alert, now))
    return [AlertRow.of(alert, now, alert.id in mine) for alert in urgent]


def _urgency(alert: Alert, now: int) -> tuple[int, bool, str, str]:
    state, facts = alert.state(now), alert.facts
    rank = _RANK["unseen" if state == "ended" and alert.asks(now) else state]
    # Moments are text of one form: turned round character by character they sort from the newest.
    return rank, not facts.pages, facts.opened_at.translate(_NEWEST_FIRST), facts.id


_NEWEST_FIRST = str.maketrans("0123456789", "9876543210")
MOST = 300


class Alerts(ListRows[AlertRow]):
    """The list of alerts. While somebody is inside it, rows keep their places and new ones queue at the end."""

    def __init__(self, *, id: str = "alerts", says: str = "No alerts.") -> None:
        super().__init__(id=id)
        self._says = says
        self._latest: list[AlertRow] = []
        self._total = 0
        self.queued = 0
        """New alerts that wait below the rows in use."""
        self.frozen = False

    def key(self, row: AlertRow) -> Hashable:
        """Return the alert's id."""
        return row.id

    def empty(self) -> str:
        """Return what an empty pane says."""
        return self._says

    @property
    def held(self) -> str:
        """The id of the alert that somebody has under the cursor: it stays in the list whatever becomes of it."""
        row = self.selected
        return row.id if self.has_focus and row is not None else ""

    def update(self, rows: list[AlertRow], total: int = 0) -> None:
        """Show `rows`, given in order of urgency. `total`: how many alerts there are, when not all are rows."""
        self._latest, self._total = rows, max(total, len(rows))
        chosen = next((row for row in rows if row.id == self.held), None)
        places = {row.id: i for i, row in enumerate(self._rows)}
        if self.frozen:
            latest = {row.id: row for row in rows}
            self.queued = sum(row.id not in places for row in rows)
            rows = [latest.get(row.id, row) for row in self._rows]
        elif chosen is not None and (self.cursor or not chosen.asks):
            rows = sorted(rows, key=lambda row: places.get(row.id, len(places)))
            self.queued = sum(row.id not in places for row in rows) + self.queued * bool(places)
        else:
            self.queued = 0
        asking = sum(row.asks for row in self._latest)
        more = self._total > len(self._latest)
        goes_on = "f goes on" if self.frozen else "g sort"
        self.title(
            f"1 Alerts  {self._total:,} · {asking:,}{'+' if more else ''} unacked{' · FROZEN' * self.frozen}",
            f"▼ {self.queued} new · {goes_on}" if self.queued else "",
        )
        if rows != self._rows:
            self.show(rows)

    def action_top(self) -> None:
        """Go to the most urgent alert, in the order of now."""
        self.frozen = False
        self.go(0)
        self.cursor = 0
        self._rows = []
        self.update(self._latest, self._total)

    def freeze(self) -> None:
        """Hold the rows and their order, or take those of now."""
        self.frozen = not self.frozen
        self.update(self._latest, self._total)

    def on_blur(self) -> None:
        """Take the order of now."""
        super().on_blur()
        self.update(self._latest, self._total)

    def paint(self, row: AlertRow, width: int) -> Cells:
        """Return the line of one alert."""
        agent = max(8, min(16, (width - 36) // 2))
        state = 13
        rule = max(width - 8 - 5 - agent - 1 - state - 2, 8)
        strong = "strong" if row.asks else "quiet"
        return [
            ("◆ " if row.mine else "  ", "info"),
            (fit(row.level, 7), row.tone),
            (fit(row.age, 4, right=True) + " ", ""),
            (fit(row.rule, rule) + " ", strong),
            (fit(row.agent, agent) + " ", "" if row.asks else "quiet"),
            (fit(row.state, state), row.tone),
        ]
