"""Redaction: a labelled corpus says how much is found and how little is found wrongly; both are promised in docs."""

import re
import string
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.evidence.redaction import PERSONAL, SECRETS, Redaction, iban, luhn
from data.canonical import encode

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
A = string.ascii_letters + string.digits
SEED = Random(7)


def some(length: int, of: str = A) -> str:
    # At least one digit and one letter, as random keys of such lengths have.
    return "".join(SEED.choice(of) for _ in range(length - 2)) + "a7"


HEX = "0123456789abcdef"
LINES = (
    "the agent printed {} in its answer",
    '{{"output": "{}", "status": "ok"}}',
    "found {}, rotated it",
    "log line: {}",
    "({}) was in the prompt",
)
# What must be masked: kind, and text of which the whole or the part in «» must go.
POSITIVE: list[tuple[str, str]] = [
    *(("private_key", f"-----BEGIN {kind}PRIVATE KEY-----\n{some(64)}\n{some(64)}\n-----END {kind}PRIVATE KEY-----")
      for kind in ("RSA ", "", "EC ", "OPENSSH ")),
    *(("jwt", f"eyJhbGciOiJIUzI1NiJ9.eyJ{some(30)}.{some(43)}") for _ in range(3)),
    *(("aws_key", f"{head}{some(16, string.ascii_uppercase + '234567').upper().replace('A7', 'A5')}") for head in ("AKIA", "ASIA")),
    *(("github_token", f"{head}{some(36)}") for head in ("ghp_", "gho_", "ghs_")),
    ("github_token", f"github_pat_{some(22)}_{some(59)}"),
    ("gitlab_token", f"glpat-{some(20)}"),
    ("slack_token", f"xoxb-{some(12, '0123456789')}-{some(24)}"),
    ("slack_webhook", f"https://hooks.slack.com/services/T{some(8)}/B{some(8)}/{some(24)}"),
    *(("model_api_key", f"{head}{some(40)}") for head in ("sk-", "sk-proj-", "sk-ant-api03-")),
    ("google_key", f"AIza{some(35)}"),
    ("stripe_key", f"sk_live_{some(24)}"),
    ("stripe_key", f"rk_test_{some(24)}"),
    ("sendgrid_key", f"SG.{some(22)}.{some(43)}"),
    ("package_token", f"npm_{some(36)}"),
    ("package_token", f"pypi-AgEIcHlwaS5vcmc{some(60)}"),
    ("huggingface_token", f"hf_{some(34)}"),
    ("cloud_token", f"dop_v1_{some(64, HEX)}"),
    ("cloud_token", f"hvs.{some(24)}"),
    ("twilio_key", f"SK{some(32, HEX)}"),
    ("telegram_token", f"123456789:AA{some(33)}"),
    ("url_password", "postgres://app:«s3cr3t-Pa55»@db.internal:5432/orders"),
    ("url_password", "https://ci:«hunter2hunter2»@git.example.com/x.git"),
    ("bearer_token", f"Authorization: Bearer «{some(40)}»"),
    ("bearer_token", f"curl -H 'authorization: basic «{some(28)}==»'"),
    ("password", "password=«hunter2»"),
    ("password", "DB_PASSWORD=«correcthorse»"),
    ("password", '"client_secret": "«q8w7e6r5t4»"'),
    ("password", "api_key: «9f8a7b6c5d»"),
    ("password", "export AWS_SECRET_ACCESS_KEY=«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"),
    ("password", r'{\"password\": \"«tr0ub4dor»\"}'),
    ("password", "passphrase='«open sesame 1»'"),
    ("email", "maria.musterfrau@example.org"),
    ("email", "o_neil+refunds@mail.example.co.uk"),
    ("email", "m@x.io"),
    *(("card", number) for number in
      ("4111 1111 1111 1111", "4111111111111111", "5500-0000-0000-0004", "3782 822463 10005", "6011000990139424", "2223003122003222")),
    *(("iban", number) for number in
      ("DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "FR14 2004 1010 0505 0001 3M02 606", "NL91ABNA0417164300")),
    *(("phone", number) for number in
      ("+49 170 1234567", "+1 415 555 2671", "+44 20 7946 0958", "+4915112345678", "(415) 555-2671", "415-555-2671", "+33 6 12 34 56 78")),
    ("us_ssn", "219-09-9999"),
    # Known to be missed; they stand here so that the recall is not flattered.
    ("password", "the password is «hunter2»"),
    ("phone", "0170 1234567"),
    ("email", "maria (at) example (dot) org"),
    ("card", "4111.1111.1111.1111"),
]  # fmt: skip
# What must stay as it is: what an incident is full of.
NEGATIVE = [
    "agent planner-3 paid 91 refunds of order 8842 twice, tool payments/refund at 14:02:31Z",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7 session 0192f1c4-7b1e-7c3a-9d4e-2f6b8a1c3d5e",
    "input_tokens=4096 output_tokens=1024 max_tokens: 8192 token_count=77",
    "the password was rotated; secret: none; token: expired; api_key: required",
    "password: changed yesterday, see the runbook",
    "pagination_token=<none> token=${TOKEN} password=******* api_key=YOUR_KEY_HERE",
    "commit 7d2bb77ac807f291ab2eebcda9761fc430f95f833ade9a58437e7ce3991f6fc3 on main",
    "image registry.example.com/agents/refunds@sha256:7d2bb77ac807f291ab2eebcda9761fc430f95f833ade9a58437e7ce3991f6fc3",
    "git@github.com:org/repo.git cloned, icon@2x.png missing, pkg@1.2.3 and @types/node@20.1.0 installed",
    "@ana please look, cc @ben; #payments",
    "at 2026-11-21T14:05:58.123456+00:00, epoch 1795271815684439, 1795271815, 1795271815684",
    "order 4111111111111112, invoice 5500000000000005, ticket 1234567890123456, account 378282246310006",
    "cost 1,234,567.89 USD, 4 500 000 tokens, 12.5 % of 3 000 calls",
    "ip 10.0.12.7:8443, [2001:db8::1]:443, mac 00:1b:44:11:3a:b7, port 5432",
    "version 20.11.0-rc.3, build 2026.11.21.1405, model claude-opus-4-1-20250805, gpt-4o-2024-08-06",
    "DE00 not an account, FR76 nor this, GB29 neither; IBAN missing",
    "exit 137 after 3600 s, retry 5/10, +1200 ms, -5m, 14:05-14:10, 2026-11-21",
    "SK-1234 is a ticket, sk-learn is a library, hf_hub is one too, ghp_ is a prefix",
    "Bearer tokens are checked at the gateway; basic auth is off; authorization policy refunds-v2",
    "https://grafana.example.com/d/abc123/agents?from=now-1h&to=now&var-agent=planner-3",
    "https://user@example.com:8443/path is a URL without a password",
    "https://example.com:8443/path?q=a:b@c",
    "idempotency_key=refund-8842-1 approval_id=apr-77 bundle_id=b-2026-11-21 rollout_wave=3",
    "tool_principal=svc-refunds, secret_name: prod/payments, key_id: k-12",
    "the secret of a good runbook: short sentences",
    "ratio 415-555, window 100-200-3000, part 555-12-34567",
    "containment confirmed at 14:05 by dee; severity P1; case uxifoo25w3fpqdviyj5cbopodf, entry h3hlt3zb",
    "sum 3782822463 cents; ids 40044053201 30004 44; range +10..+20; +1 reaction x 12",
    "phone support was paged twice; ext 1234; call 112 or 911",
    "eyJust kidding.eyJoke.no",
    "AKIAlike names and AIzaland; xoxo; SG.com; npm_config_cache",
]  # fmt: skip


def measured() -> tuple[float, float]:
    """Precision and recall over the corpus, each find one vote."""
    policy = Redaction("secrets+personal")
    right = wrong = missed = 0
    for number, (kind, text) in enumerate(POSITIVE):
        secret = text.split("«")[1].split("»")[0] if "«" in text else text
        line = LINES[number % len(LINES)].format(text.replace("«", "").replace("»", ""))
        masked = policy.mask(line)
        found = list(policy.find(line))
        if secret not in masked and any(each.kind == kind for each in found):
            right += 1
            wrong += len(found) - 1
        else:
            missed += 1
            wrong += len(found)
    wrong += sum(len(list(policy.find(line))) for line in NEGATIVE)
    return right / (right + wrong), right / (right + missed)


def test_precision_and_recall_are_what_the_documentation_says() -> None:
    precision, recall = measured()
    told = re.search(r"precision (\d+) %, recall (\d+) %", DOCS.read_text())
    assert told is not None
    assert (f"{precision:.0%}", f"{recall:.0%}") == (f"{told[1]}%", f"{told[2]}%")
    assert precision >= 0.98
    assert recall >= 0.9


@pytest.mark.parametrize("line", NEGATIVE)
def test_what_incidents_are_full_of_stays(line: str) -> None:
    assert Redaction("secrets+personal").mask(line) == line


@pytest.mark.parametrize("rule", [rule.name for rule in SECRETS + PERSONAL])
def test_every_rule_is_in_the_corpus(rule: str) -> None:
    assert rule in {kind for kind, _ in POSITIVE}


def test_policies_differ_and_none_masks_nothing() -> None:
    text = "api_key=9f8a7b6c5d of ana@example.org, Project Bluebird"
    assert Redaction("none").mask(text) == text
    assert Redaction("secrets").mask(text) == "api_key=[masked password] of ana@example.org, Project Bluebird"
    assert "ana@" not in Redaction("secrets+personal").mask(text)
    listed = Redaction("none", ("project bluebird", "Project"))
    assert listed.mask(text) == "api_key=9f8a7b6c5d of ana@example.org, [masked listed]"
    assert (listed.name, listed.active, Redaction("none").active) == ("none+listed", True, False)


@given(st.text(), st.sampled_from(POSITIVE))
def test_masking_never_fails_and_leaves_the_rest(text: str, positive: tuple[str, str]) -> None:
    policy = Redaction("secrets+personal")
    both = f"{text} {positive[1]} {text}"
    for raw in (text, both):
        at, rest = 0, ""
        for found in policy.find(raw):
            assert at <= found.start < found.end <= len(raw)
            rest += raw[at : found.start] + f"[masked {found.kind.replace('_', ' ')}]"
            at = found.end
        assert policy.mask(raw) == rest + raw[at:]


def test_a_body_is_masked_field_by_field_and_stays_canonical() -> None:
    body = {"text": "token=abc123def", "list": [{"mail": "ana@example.org"}, 3], "n": 1, "hash": "4111" * 16}
    rendering = Redaction("secrets+personal").body(encode(body))
    assert rendering is not None
    assert set(rendering.withheld) == {("text", "password"), ("list[0].mail", "email")}
    shown = msgspec.json.decode(rendering.shown)
    assert shown["hash"] == body["hash"]
    assert encode(shown) == rendering.shown
    assert Redaction("secrets").body(encode({"text": "nothing"})) is None


def test_long_hostile_text_takes_no_time_worth_naming() -> None:
    # Each would take hours if a rule looked through the rest of the text from every place.
    for piece in (
        "a_",
        "sk-",
        "eyJ.",
        "-----BEGIN PRIVATE KEY-----",
        "a@",
        "+1 ",
        "4111 ",
        "bearer ",
        "password=\\",
        "DE89 ",
    ):
        Redaction("secrets+personal").mask(piece * 20_000)


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005"])
def test_checksums_are_checked(number: str) -> None:
    assert luhn(number)
    assert not luhn(number[:-1] + str((int(number[-1]) + 1) % 10))
    assert iban("DE89370400440532013000")
    assert not iban("DE88370400440532013000")
    assert not iban("ZZ89370400440532013000")


KEY = "MIIEpAIBAAKCAQEAabcdefabcdefabcdef"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"x -----BEGIN PRIVATE KEY-----\n{KEY}\n{KEY}\nAb3", "x [masked private key]"),
        (f"-----BEGIN PRIVATE KEY-----\\n{KEY}\\n{KEY} and so on", "[masked private key] and so on"),
        ("-----BEGIN PRIVATE KEY----- was found in the output of planner", None),
    ],
)
def test_a_key_whose_end_was_cut_off_is_masked_and_words_about_keys_are_not(
    text: str, shown: str | None
) -> None:
    assert Redaction().mask(text) == (shown or text)


def test_lines_stay_lines() -> None:
    lines = ["a", f"-----BEGIN PRIVATE KEY-----{KEY}", KEY, "-----END PRIVATE KEY-----", "password=hunter2x9"]
    mark = "[masked private key]"
    assert Redaction().lines(lines) == ["a", mark, mark, mark, "password=[masked password]"]
    assert Redaction("none").lines(lines) == lines
    assert Redaction().lines([]) == []
