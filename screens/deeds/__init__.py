"""What the commands do. Importing this package registers every deed."""

from screens.deeds import alerts, checklist, incident, rollback, timeline, view

__all__ = ["alerts", "checklist", "incident", "rollback", "timeline", "view"]
