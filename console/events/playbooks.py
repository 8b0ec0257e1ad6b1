"""Playbooks that are worked through: values, approvals, runs, automation, change freezes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from console.events.body import Body, Count, Digest, Moment, Name, Short, Text, Whole, kind

RunId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
StepMark = Literal["open", "done", "not_applicable", "waived"]
RunOutcome = Literal["done", "failed", "timed_out", "cancelled", "unknown"]


@kind("playbook.opened")
class PlaybookOpened(Body, frozen=True):
    """A playbook is worked through from here on, as it reads now: `document` is all of it, as canonical JSON."""

    id: Name
    title: Short
    version: Name
    digest: Digest
    document: Annotated[str, Meta(max_length=500_000)]
    why: Text = ""


@kind("playbook.closed")
class PlaybookClosed(Body, frozen=True):
    """Nobody works through the playbook any more; what was done with it stays."""

    playbook: Name
    reason: Text = ""


@kind("value.filled")
class ValueFilled(Body, frozen=True):
    """What stands for `{name}` in the steps of a playbook from here on; empty: not known again."""

    playbook: Name
    name: Name
    value: Annotated[str, Meta(max_length=2000)]


@kind("step.approved")
class StepApproved(Body, frozen=True):
    """A person lets a step run, once. `digest` names what would run: with another value it is no approval."""

    playbook: Name
    step: Name
    digest: Digest
    role: Name


@kind("step.started")
class StepStarted(Body, frozen=True):
    """A step runs. On the disk before anything happens, so that no crash leaves an effect without an entry.

    `what`: exactly what runs, one element each, with values in it and secrets masked. `dry`: without effect.
    """

    playbook: Name
    step: Name
    run: RunId
    attempt: Count = 1
    dry: bool = True
    automatic: bool = False
    what: Annotated[tuple[Annotated[str, Meta(max_length=40_000)], ...], Meta(max_length=200)] = ()
    digest: Digest | Literal[""] = ""


@kind("step.finished")
class StepFinished(Body, frozen=True):
    """How a run ended; the envelope's refs are what it printed or answered.

    `unknown`: whoever ran it is gone, and nobody can say whether it took effect.
    """

    run: RunId
    outcome: RunOutcome
    exit: Whole | None = None
    status: Count = 0
    milliseconds: Count = 0
    note: Text = ""


@kind("step.stop_asked")
class StopAsked(Body, frozen=True):
    """A run is to end, wherever it runs; what came of it says its `step.finished`."""

    run: RunId
    reason: Text = ""


@kind("step.settled")
class StepSettled(Body, frozen=True):
    """A person looked what became of a run whose effect nobody knew: it took effect, it did not, or: repeat it."""

    playbook: Name
    step: Name
    run: RunId
    word: Literal["happened", "not", "repeat"]
    reason: Text


@kind("step.set")
class StepSet(Body, frozen=True):
    """A step is done, not applicable, waived (with a reason), or open again. `evidence`: what shows it."""

    playbook: Name
    step: Name
    state: StepMark
    reason: Text = ""
    evidence: Short = ""


@kind("step.decided")
class StepDecided(Body, frozen=True):
    """The answer to a decision of a playbook, and why."""

    playbook: Name
    step: Name
    option: Name
    reason: Text


@kind("automation.granted")
class AutomationGranted(Body, frozen=True):
    """Steps may run by themselves, on the console that wrote this, until `until`.

    `scope`: how much they may touch at most, in the words of the document (`one tenant`).
    """

    playbook: Name
    scope: Name
    steps: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]
    until: Moment
    reason: Text


@kind("automation.withdrawn")
class AutomationWithdrawn(Body, frozen=True):
    """Nothing runs by itself under a grant any more; without one: under none. What runs so is stopped."""

    grant: Digest | Literal[""] = ""
    reason: Text = ""


@kind("automation.announced")
class AutomationAnnounced(Body, frozen=True):
    """A step will run by itself at `at`, unless somebody stops it."""

    playbook: Name
    step: Name
    at: Moment
    grant: Digest


@kind("freeze.set")
class FreezeSet(Body, frozen=True):
    """No changes but those that this incident needs (X-18)."""

    reason: Text
    scope: Short = ""


@kind("freeze.lifted")
class FreezeLifted(Body, frozen=True):
    """A change freeze is over. `freeze`: the event that set it."""

    freeze: Digest
    reason: Text = ""


@kind("freeze.exempted")
class FreezeExempted(Body, frozen=True):
    """One step of this incident may change something although changes are frozen."""

    playbook: Name
    step: Name
    reason: Text
