"""Messages hold what the sources ask for, name what they need, and say nothing vague."""

import re

import pytest

from playbooks import load
from playbooks.guidance import Messages, Template
from playbooks.response import PLACEHOLDER, Playbook

DOCUMENTS = [load.document(path, Messages) for path in sorted((load.LIBRARY / "messages").glob("*.yaml"))]
TEMPLATES = {template.id: template for document in DOCUMENTS for template in document.templates}
(UPDATES,) = (document for document in DOCUMENTS if document.id == "updates")
DURATIONS = {each.id: each for each in UPDATES.durations}
ALL = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)


def placeholders(template: Template) -> set[str]:
    return set(PLACEHOLDER.findall(f"{template.subject} {template.body}"))


def filled(template: Template, **facts: str) -> str:
    """Subject and body with every placeholder filled in."""
    text = f"{template.subject}\n{template.body}"
    return PLACEHOLDER.sub(lambda match: facts.get(match[1], f"<{match[1]}>"), text)


def test_no_two_documents_have_a_template_of_the_same_name() -> None:
    assert len(TEMPLATES) == sum(len(document.templates) for document in DOCUMENTS)


@ALL
def test_everything_that_is_filled_in_is_asked_for_and_used(template: Template) -> None:
    asked = {value.name for value in template.values}
    assert placeholders(template) == asked
    assert set(template.needs) <= asked


def test_every_draft_that_a_playbook_asks_for_has_its_template() -> None:
    asked = {
        step.action.args["template"]
        for path in sorted((load.LIBRARY / "responses").glob("*.yaml"))
        for step in load.document(path, Playbook).steps()
        if step.action and step.action.verb == "draft_update"
    }
    assert asked
    assert asked <= set(TEMPLATES)


LINES = {
    "S001-CM-1": ("Affected workflow", "workflow"),
    "S001-CM-2": ("Known impact on users", "impact"),
    "S001-CM-3": ("Contained", "contained"),
    "S001-CM-4": ("Still being investigated", "investigating"),
    "S001-CM-5": ("Next decision", "decision_owner"),
    "S001-CM-6": ("Next update", "next_update"),
}


@pytest.mark.parametrize(
    ("words", "fact"), [pytest.param(*v, id=key, marks=pytest.mark.req(key)) for key, v in LINES.items()]
)
def test_a_field_of_the_factual_update_is_a_line_without_which_it_does_not_go_out(
    words: str, fact: str
) -> None:
    update = TEMPLATES["internal-update"]
    assert f"{words}: {{{fact}}}" in update.body.splitlines()
    assert fact in update.needs


@pytest.mark.req("S001-CM-0")
def test_the_factual_update_is_short() -> None:
    lines = TEMPLATES["internal-update"].body.splitlines()
    assert len(lines) == 7, "six facts and the trace ids"
    assert all(len(line) < 60 for line in lines)


@ALL
@pytest.mark.req("S001-CM-0")
def test_no_message_uses_a_phrase_that_says_nothing(template: Template) -> None:
    assert "acting strangely" in UPDATES.vague
    assert all(phrase == phrase.lower() for phrase in UPDATES.vague)
    text = f"{template.title} {template.subject} {template.body}".lower()
    assert [phrase for phrase in UPDATES.vague if re.search(rf"\b{re.escape(phrase)}\b", text)] == []


@pytest.mark.req("S002-COM-1")
def test_the_channel_is_named_by_day_and_short_name() -> None:
    channel = TEMPLATES["channel"]
    name = filled(channel, date="20261121", short_name="refund-loop").splitlines()[0]
    assert name == "inc-20261121-refund-loop"
    values = {value.name: value for value in channel.values}
    assert values["date"].accepts("20261121")
    assert not values["date"].accepts("2026-11-21")
    assert not values["short_name"].accepts("Refund Loop!")


@pytest.mark.req("S002-COM-2")
def test_four_things_are_pinned() -> None:
    assert set(TEMPLATES["pins"].needs) == {"runbook", "dashboards", "on_call", "latest_status"}


@pytest.mark.req("X-14", "S002-PB1-C")
def test_the_status_page_has_one_text_for_each_of_four_states() -> None:
    pages = [template for template in TEMPLATES.values() if template.audience == "status-page"]
    assert [page.state for page in pages] == ["investigating", "identified", "monitoring", "resolved"]
    assert [each.id for each in TEMPLATES.values() if each.state and each not in pages] == []
    texts = {page.state: filled(page) for page in pages}
    assert "do not know the cause" in texts["investigating"]
    assert "looking into" not in texts["identified"], "who has identified it no longer investigates"
    assert "since <since>" in texts["resolved"]


@pytest.mark.req("S002-COM-3")
def test_identified_names_the_services_and_promises_the_next_update_in_half_an_hour() -> None:
    page = TEMPLATES["status-identified"]
    text = filled(page, now="03:04 UTC", services="Refunds", next_update="03:34 UTC")
    assert text.startswith("Identified (03:04 UTC)")
    assert "in Refunds" in text
    assert "Mitigation is in progress" in text
    assert "Next update by 03:34 UTC" in text
    assert page.next_update == 1800


@pytest.mark.req("S002-COM-4")
def test_monitoring_says_that_a_fix_is_deployed_and_promises_the_final_update_within_the_hour() -> None:
    page = TEMPLATES["status-monitoring"]
    text = filled(page, now="03:04 UTC", next_update="04:04 UTC")
    assert text.startswith("Monitoring (03:04 UTC)")
    assert "is deployed" in text
    assert "final update by 04:04 UTC" in " ".join(text.split())
    assert page.next_update == 3600


@pytest.mark.req("S002-COM-5")
def test_the_support_macro_names_the_feature_the_priority_and_the_status_page() -> None:
    text = filled(TEMPLATES["support-macro"], feature="refunds", status_link="https://status.example.com")
    assert "affects refunds" in text
    assert "high priority" in text
    assert "https://status.example.com" in text
    assert "keep you informed" in text


@pytest.mark.req("S002-PB5-C")
def test_affected_tenants_are_told_first_and_get_a_letter_with_scope_and_remediation() -> None:
    outreach, letter = TEMPLATES["outreach"], TEMPLATES["incident-letter"]
    assert (outreach.audience, letter.audience) == ("customers", "customers")
    assert {"summary", "contained", "unknown", "contact"} <= set(outreach.needs)
    assert {"tenant", "scope", "records", "remediation", "prevention"} <= set(letter.needs)
    text = filled(letter, scope="two regions", remediation="records deleted")
    assert "Scope: two regions" in text
    assert "What we did: records deleted" in text


@pytest.mark.req("S002-PB4-N")
def test_authorities_and_customers_are_told_what_is_known_and_what_is_not() -> None:
    for name in ("authority", "outreach"):
        assert {"unknown", "summary", "contained"} <= set(TEMPLATES[name].needs)
    assert {"legal_basis", "aware_since"} <= set(TEMPLATES["authority"].needs)


@pytest.mark.req("S003-PM-6")
def test_customers_authorities_and_the_board_have_a_message_each() -> None:
    audiences = {template.audience for template in TEMPLATES.values()}
    assert {"customers", "regulator", "executives"} <= audiences
    assert {"threshold", "notified"} <= set(TEMPLATES["board"].needs)


TICKET = {
    "S002-TK-1": ("[{label}] {title}",),
    "S002-TK-2": ("Start: {started}",),
    "S002-TK-3": ("Incident commander: {commander}", "Scribe: {scribe}"),
    "S002-TK-4": ("Scope: {scope}",),
    "S002-TK-5": ("Impact: {impact}",),
    "S002-TK-6": ("Hypotheses: {hypotheses}",),
    "S002-TK-7": ("Actions taken: {actions}",),
    "S002-TK-8": ("Next update: {next_update} in {channel}",),
}


@pytest.mark.parametrize(
    "lines", [pytest.param(lines, id=key, marks=pytest.mark.req(key)) for key, lines in TICKET.items()]
)
def test_the_ticket_has_its_fields(lines: tuple[str, ...]) -> None:
    ticket = TEMPLATES["ticket"]
    text = f"{ticket.subject}\n{ticket.body}"
    assert [line for line in lines if line not in text] == []


@pytest.mark.req("S002-SLO-3")
def test_trace_ids_are_in_tickets_and_updates_but_not_where_everybody_reads_them() -> None:
    with_them = {name for name, template in TEMPLATES.items() if "trace_ids" in placeholders(template)}
    assert {"internal-update", "ticket", "executive", "support-macro", "incident-letter"} <= with_them
    public = {name for name, template in TEMPLATES.items() if template.audience == "status-page"}
    assert not with_them & public
    assert all("incident" in placeholders(TEMPLATES[name]) for name in public), "a reference leads there"


@pytest.mark.req("S002-CK-2", "S001-SEV-4")
def test_the_two_worst_levels_have_an_update_every_half_hour_and_no_level_a_faster_one() -> None:
    every = {cadence.severity: cadence.every for cadence in UPDATES.cadence}
    assert (every[1], every[2]) == (1800, 1800)
    assert list(every.values()) == sorted(every.values())


@pytest.mark.req("X-15")
def test_durations_have_names_and_equal_ones_stay_apart() -> None:
    lasts = {name: each.lasts for name, each in DURATIONS.items()}
    assert lasts == {"halt": 30, "update": 1800, "final-update": 3600, "unfreeze": 3600}
    assert len({each.title for each in DURATIONS.values()}) == 4
    assert TEMPLATES["status-identified"].next_update == lasts["update"]
    assert TEMPLATES["status-monitoring"].next_update == lasts["final-update"]
