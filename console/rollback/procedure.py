"""What undoes one effect: the template of its class, filled in with the facts of the effect.

It comes from the configuration or the library of this console, never from the record, and an effect can fill in no
more than its facts: they were written by an agent, and choose neither the program nor the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from console.events import Effect
from console.refusal import Refused
from console.runner.document import PLACEHOLDER, Command, Document, Http, Step
from console.runner.fill import Filled, fill
from console.runner.state import Play

if TYPE_CHECKING:
    from console.config import Config, Reversal
    from playbooks.response import Command as LibraryCommand
    from playbooks.response import Http as LibraryHttp

SECOND = 1_000_000_000
_NOTHING = Play(Document("effects", ""), "", 0, "", "")
"""Facts of effects are no values that a document asks for: they are one line of text each."""


class Procedure(NamedTuple):
    """How effects of a class are reversed.

    Attributes:
        action_class: id of the class.
        reverse: what undoes one effect.
        check: what succeeds when it is undone; None = a person looks.
        warns: what has to be confirmed first; "" = nothing.
        timeout: seconds for one effect.
        width: how many at once.
        origin: where it comes from, in words.
    """

    action_class: str
    reverse: Step
    check: Step | None
    warns: str
    timeout: float
    width: int
    origin: str

    @property
    def words(self) -> tuple[str, ...]:
        """The template of the reversal, an element each."""
        return _words(self.reverse)

    @property
    def checked_by(self) -> tuple[str, ...]:
        """The template of the check."""
        return _words(self.check) if self.check is not None else ()


def procedure(action_class: str, config: Config, *, documents: bool = True) -> Procedure | None:
    """Return how effects of a class are reversed: as the configuration says, else as its document; None = by hand.

    Args:
        action_class: id of the class.
        config: goes before the documents.
        documents: whether the library's documents count.

    Raises:
        Refused: what is configured makes no sense.
        PlaybookTrouble: a document of the library is broken.
    """
    for each in config.reversal:
        if each.action_class == action_class:
            return _sound(_configured(each))
    if not documents:
        return None
    from playbooks import load

    document = next((each for each in load.rollback_classes() if each.id == action_class), None)
    if document is None or (known := document.reversal) is None:
        return None
    found = Procedure(
        action_class,
        _step("reverse", known.command or known.http),
        _step("check", known.check) if known.check is not None else None,
        known.warns,
        known.timeout,
        4,
        f"the document {action_class}",
    )
    return _sound(found)


def facts(row: Effect) -> dict[str, str]:
    """Return what an effect fills in; what is not known of it is left out."""
    known = {
        "effect": row.id,
        "reversal": reversal_key(row.id),
        "key": row.key,
        "target": row.target,
        "action": row.action,
        "trace": row.trace,
        "agent": row.agent,
        "tenant": row.tenant,
        "principal": row.principal,
        "approval": row.approval,
        "tool": row.tool,
        "amount": row.amount,
    }
    return {name: text for name, text in known.items() if text}


def reversal_key(effect: str) -> str:
    """Return the key under which the reversal of an effect may be repeated without being done twice."""
    return f"undo-{effect}"


def filled(step: Step, known: Mapping[str, str], *, dry: bool = False) -> Filled | None:
    """Return what runs for one effect; None: a dry run of something that knows none.

    Raises:
        Unfilled: a fact is not known, or does not fit where it is to stand.
    """
    return fill(step, _NOTHING, known, dry=dry)


def _configured(each: Reversal) -> Procedure:
    if bool(each.command) == bool(each.url):
        raise Refused(
            f"The reversal of {each.action_class} is not one thing to do.",
            "Under [[reversal]] give either `command` or `url`.",
        )
    if each.command:
        reverse = Step("reverse", "", command=Command(each.command, each.dry_run))
    else:
        reverse = Step("reverse", "", http=Http(each.method, each.url, each.headers, each.body, each.expects))
    check = None
    if each.check:
        check = Step("check", "", command=Command(each.check))
    elif each.check_url:
        request = Http(each.check_method, each.check_url, each.headers, "", each.check_expects)
        check = Step("check", "", http=request)
    seconds = each.timeout / SECOND
    return Procedure(each.action_class, reverse, check, each.warns, seconds, each.width, "the configuration")


def _step(name: str, part: LibraryCommand | LibraryHttp | None) -> Step:
    from playbooks import response

    assert part is not None  # noqa: S101 - the document was checked
    if isinstance(part, response.Command):
        return Step(name, "", command=Command(part.argv, part.dry_run))
    return Step(name, "", http=Http(part.method, part.url, dict(part.headers), part.body, part.expects))


def _sound(found: Procedure) -> Procedure:
    from playbooks.undoing import FACTS, FIXED_HOST

    for step in filter(None, (found.reverse, found.check)):
        for name in _placeholders(_words(step)):
            if name not in FACTS:
                raise Refused(
                    f"The reversal of {found.action_class} asks for {{{name}}}, which is no fact of an effect.",
                    f"There are {', '.join(FACTS)}.",
                )
        if step.command is not None and PLACEHOLDER.search(step.command.argv[0]):
            raise Refused(
                f"In the reversal of {found.action_class} an effect chooses the program.",
                "Name the program itself.",
            )
        if step.http is not None and not FIXED_HOST.fullmatch(step.http.url):
            raise Refused(
                f"In the reversal of {found.action_class} the address does not name its host.",
                "As in https://pay.example/v1/refunds?payment={key}.",
            )
    return found


def _words(step: Step) -> tuple[str, ...]:
    if step.command is not None:
        return (*step.command.argv, *step.command.dry_run)
    if step.http is not None:
        headers = (f"{name}: {text}" for name, text in step.http.headers.items())
        return (f"{step.http.method} {step.http.url}", *headers, *filter(None, (step.http.body,)))
    return ()


def _placeholders(texts: Iterable[str]) -> Iterator[str]:
    return (name for text in texts for name in PLACEHOLDER.findall(text))
