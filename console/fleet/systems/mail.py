"""Class 3: mails in a maildir. What was sent stays sent: the substitute is a follow-up to the same reader."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

from console.fleet.systems.effect import Effect, Left

FOLDER = "mail"
_DOMAIN = "fleet.example"


def prepare(root: Path) -> None:
    """Make the maildir."""
    for name in ("tmp", "new", "cur"):
        (root / FOLDER / name).mkdir(parents=True, exist_ok=True)


def act(root: Path, effect: Effect) -> None:
    """Deliver one mail."""
    _deliver(root, effect.id, effect.agent, effect.to, f"About your order {effect.id}", effect.text)


def left(root: Path, effect: str) -> Left:
    """Look for the mail and for its follow-up."""
    new = root / FOLDER / "new"
    if not (new / effect).exists():
        return Left("absent", "no such mail")
    follow_up = f"follow-up-{effect}"
    if (new / follow_up).exists():
        return Left("substituted", f"{follow_up} was delivered")
    return Left("standing", "delivered, without a follow-up")


def undo(root: Path, effect: str) -> None:
    """Deliver the follow-up, once."""
    if left(root, effect).state != "standing":
        return
    first = (root / FOLDER / "new" / effect).read_text("utf-8")
    to = next(line.removeprefix("To: ") for line in first.splitlines() if line.startswith("To: "))
    _deliver(
        root,
        f"follow-up-{effect}",
        "support",
        to,
        "A correction",
        "Please ignore our last mail.",
        answers=effect,
    )


def _deliver(root: Path, id: str, sender: str, to: str, subject: str, text: str, answers: str = "") -> None:
    message = EmailMessage()
    message["From"] = f"{sender}@{_DOMAIN}"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{id}@{_DOMAIN}>"
    if answers:
        message["References"] = f"<{answers}@{_DOMAIN}>"
    message.set_content(text)
    temporary = root / FOLDER / "tmp" / id
    temporary.write_bytes(message.as_bytes())
    temporary.rename(root / FOLDER / "new" / id)
