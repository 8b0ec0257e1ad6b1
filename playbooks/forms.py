"""What a form's answers lead to. The form proposes, with the rule and the reason; a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playbooks.guidance import Form, Question, Rule

UNKNOWN = "unknown"


class Proposal(NamedTuple):
    """What a form proposes.

    Attributes:
        proposes: the proposal of the first rule that holds.
        rule: its id.
        reason: why, in one sentence.
        also: what else comes with it, such as `security-led`.
        counted_as_no: ids of the questions whose answer is not known and was taken for a no.
        further: rules after it that hold too and propose something else: what may come second.
    """

    proposes: str
    rule: str
    reason: str
    also: tuple[str, ...]
    counted_as_no: tuple[str, ...]
    further: tuple[Rule, ...]


def decide(form: Form, answers: Mapping[str, str]) -> Proposal | None:
    """Apply the rules in order to the answers (question: answer); a question without one is unknown.

    Returns:
        None when no rule holds, which is so for a form that only asks.

    Raises:
        ValueError: an answer is to no question of the form, or is none of those that it takes.
    """
    given = _given(form, answers)
    counted: tuple[str, ...] = ()
    if form.unknown_is_no:
        counted = tuple(
            each.id for each in form.questions if each.answer == "yes-no" and given[each.id] == UNKNOWN
        )
        given.update(dict.fromkeys(counted, "no"))
    holding = [rule for rule in form.rules if all(given[asked] in rule.when[asked] for asked in rule.when)]
    if not holding:
        return None
    first, *rest = holding
    # A rule without conditions is what remains when nothing else holds; it adds nothing to one that does.
    further = tuple(rule for rule in rest if rule.when and rule.proposes != first.proposes)
    return Proposal(first.proposes, first.id, first.reason, first.also, counted, further)


def unanswered(form: Form, answers: Mapping[str, str]) -> tuple[Question, ...]:
    """The questions that nobody could answer; where the form says `unanswerable`, each is a finding of that kind.

    Raises:
        ValueError: as `decide`.
    """
    given = _given(form, answers)
    return tuple(question for question in form.questions if given[question.id] == UNKNOWN)


def _given(form: Form, answers: Mapping[str, str]) -> dict[str, str]:
    given = {question.id: answers.get(question.id, UNKNOWN) for question in form.questions}
    for asked in answers:
        if asked not in given:
            raise ValueError(f"`{asked}` is no question of the form `{form.id}`; it asks {', '.join(given)}")
    for question in form.questions:
        if not question.allows(given[question.id]):
            takes = ", ".join(question.choices) or {"yes-no": "yes, no", "number": "a number"}.get(
                question.answer, "text"
            )
            raise ValueError(f"`{question.id}` takes {takes} or unknown, not `{given[question.id][:60]}`")
    return given
