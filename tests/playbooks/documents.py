"""A small, good document to break, and a team's directory to put it into."""

from pathlib import Path
from textwrap import dedent, indent

FRONT = """\
id: {id}
title: Checkout is down
owner: the checkout team
audience: responders
corrections: the channel of the team
version: "1.0"
last_review: "2026-11-21"
review_every_days: 60
status: reviewed
"""

PLAYBOOK = (
    FRONT
    + """\
references: []
kind: scenario
severity: 2
summary: Customers cannot pay.
values:
  - {{name: service, ask: Which service?, pattern: "[a-z-]+", example: checkout}}
triggers:
  - {{text: nobody pays, proposes: 2, sources: [OPS-1]}}
mitigation:
  steps:
    - id: copy
      text: Keep a copy of the queue
      role: scribe
      sources: [OPS-1]
    - id: undo
      text: Undo the release of {{service}}
      role: ops
      command: {{argv: [kubectl, rollout, undo, "deployment/{{service}}"]}}
      expect: The last good release runs.
      verify: The error rate falls.
      sources: [OPS-1]
"""
)


def playbook(id: str = "checkout-down", *changes: tuple[str, str]) -> str:
    """A playbook that lints clean, with texts replaced by others."""
    text = PLAYBOOK.format(id=id)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def step(text: str) -> str:
    """A playbook with one more step, given as the lines of its mapping."""
    lines = indent(dedent(text).strip(), "      ")
    return PLAYBOOK.format(id="checkout-down") + "    - id: more\n" + lines + "\n"


def put(directory: Path, name: str, text: str) -> Path:
    """Write a document into a directory."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
