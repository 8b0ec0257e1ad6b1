"""Readiness before an incident, and the first run that leads to it."""
