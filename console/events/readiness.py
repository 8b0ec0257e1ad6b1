"""Readiness: what people answered before an incident, in a case of the home's own."""

from __future__ import annotations

from typing import Literal

from console.events.body import Body, Mode, Name, Short, Text, kind


@kind("readiness.founded")
class ReadinessFounded(Body, frozen=True):
    """Founds the case in which a home keeps its answers."""

    mode: Mode = "live"


@kind("readiness.answered")
class ReadinessAnswered(Body, frozen=True):
    """A person answered a question: `text` as it was put then, `owner` is whoever closes the gap of a no."""

    question: Name
    text: Short
    answer: Literal["yes", "no", "unknown"]
    note: Text = ""
    owner: Name = ""
    version: Name = ""
