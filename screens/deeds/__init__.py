"""What the commands do. Importing this package registers every deed."""

from screens.deeds import (
    alerts,
    checklist,
    containment,
    evidence,
    incident,
    ledger,
    messages,
    playbook,
    readiness,
    rollback,
    roster,
    timeline,
    triage,
    view,
)

__all__ = [
    "alerts",
    "checklist",
    "containment",
    "evidence",
    "incident",
    "ledger",
    "messages",
    "playbook",
    "readiness",
    "rollback",
    "roster",
    "timeline",
    "triage",
    "view",
]
