"""Every command with its options: the one table behind parsing, completion and the documentation."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

Parser = argparse.ArgumentParser


class Command(NamedTuple):
    """One command.

    Attributes:
        summary: one line for the list of commands.
        where: `module:function` within console.cli.
        arguments: adds the command's own arguments to its parser.
        common: the shared options that it takes.
    """

    summary: str
    where: str
    arguments: Callable[[Parser], None]
    common: tuple[str, ...] = ("home", "incident", "as", "role", "json")


def _nothing(parser: Parser) -> None:
    pass


def _open(parser: Parser) -> None:
    parser.add_argument("--no-watch", action="store_true", help="start no watcher, even when none runs")
    parser.add_argument(
        "--read-only", action="store_true", help="change nothing: no lock, no watcher, no entry"
    )


def _watch(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--jsonl",
        metavar="FILE",
        action="append",
        default=[],
        help="read actions from FILE (- is stdin); repeatable",
    )
    add("--until-end", action="store_true", help="read the files to their end, print the alerts and stop")


def _warden(parser: Parser) -> None:
    add = parser.add_argument
    add("action", nargs="?", choices=("run", "status", "key"), default="status", help="default: status")
    add(
        "--after-loss",
        action="store_true",
        help="run: begin with everything halted, where it is not known any more what was",
    )


def _demo(parser: Parser) -> None:
    add = parser.add_argument
    add("--scenario", metavar="NAME", default="refund-loop", help="which scenario (default: refund-loop)")
    add(
        "--speed", metavar="N", type=_speed, help="drill seconds for a real second (default: 1; headless: 60)"
    )
    add("--seed", metavar="N", type=int, default=1, help="other traffic for another number (default: 1)")
    add("--keep", metavar="DIR", help="use DIR as the drill's home and keep it")
    add("--headless", action="store_true", help="no screen: play the drill and its response as plain lines")


def _fleet(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "action",
        nargs="?",
        choices=("start", "status", "stop", "undo", "check"),
        default="status",
        help="default: status; start stays in the foreground until Ctrl+C",
    )
    add("words", nargs="*", metavar="what", help="undo, check: the class and the id of an effect")
    add("--dir", metavar="DIR", default="fleet", help="where the fleet keeps everything (default: ./fleet)")
    add("--agents", metavar="N", type=_agents, default=200, help="start: how many (default: 200)")
    add("--rate", metavar="N", type=_rate, default=0.1, help="start: actions of each a second (default: 0.1)")
    add(
        "--seed",
        metavar="N",
        type=int,
        default=1,
        help="start: other traffic for another number (default: 1)",
    )
    add("--rogue", metavar="N", default="0", help="start: how many run away, as in 3 or 5%% (default: 0)")
    add(
        "--rogue-after",
        metavar="SECONDS",
        type=_seconds,
        default=30.0,
        help="start: when they do (default: 30)",
    )
    add(
        "--queue-wait",
        metavar="SECONDS",
        type=_seconds,
        default=60.0,
        help="start: how long big payments wait for a veto (default: 60)",
    )
    for name, what in (
        ("hang", "never answer when told to halt, and go on"),
        ("refuse", "refuse to halt"),
        ("lie", "say that they halted, and go on"),
        ("slow", "halt, and answer late"),
        ("revive", "halt, and act again after 5 s"),
        ("late", "appear after the first halt"),
        ("deaf", "cannot be told to halt"),
    ):
        add(f"--{name}", metavar="N", default="0", help=f"start: how many {what}")
    add(
        "--warden",
        metavar="DIR",
        default="",
        help="start: agents act only under leases of the warden that keeps its files in DIR",
    )
    add("--ports", action="store_true", help="start: each agent is told to halt at a port of its own")
    add("--drill", action="store_true", help="start: the directory is the home of a drill")
    add("--detach", action="store_true", help="start: in the background; `stop` ends it")


def _declare(parser: Parser) -> None:
    add = parser.add_argument
    add("title", nargs="+", help="what is wrong, in one line")
    add(
        "--severity",
        metavar="LEVEL",
        default="2",
        help="1 to 5, or a name such as SEV-2, P1, S2 (default: 2)",
    )
    add("--alert", metavar="ID", action="append", default=[], help="an alert that it is about; repeatable")
    add("--reason", default="", help="why this severity")
    add("--commander", metavar="NAME", default="", help="who commands (default: you)")
    add("--scope", metavar="TEXT", default="", help="whom it reaches: tenants, regions, features")
    add("--impact", metavar="TEXT", default="", help="what users see, or the share of traffic")


def _note(parser: Parser) -> None:
    parser.add_argument(
        "text", nargs="*", help="the line; `-5m …` or `14:05 …` back-dates it; none or - reads stdin"
    )


def _amend(parser: Parser) -> None:
    parser.add_argument("entry", help="id of the entry, as `log` shows it")
    parser.add_argument("text", nargs="+", help="the right text")
    parser.add_argument("--reason", default="", help="why it is corrected")


def _retract(parser: Parser) -> None:
    parser.add_argument("entry", help="id of the entry")
    parser.add_argument("reason", nargs="+", help="why it no longer counts")


def _reinstate(parser: Parser) -> None:
    parser.add_argument("entry", help="id of the entry")
    parser.add_argument("reason", nargs="+", help="why it counts again")


def _dispute(parser: Parser) -> None:
    parser.add_argument("entry", help="id of the entry")
    parser.add_argument("reason", nargs="+", help="what is not so")


def _settle(parser: Parser) -> None:
    parser.add_argument("entry", help="id of the entry")
    parser.add_argument("reason", nargs="+", help="what was found")


def _ack(parser: Parser) -> None:
    parser.add_argument(
        "alert", nargs="?", default="", help="id of the alert (default: the newest that pages)"
    )
    parser.add_argument("note", nargs="*", help="what you are doing about it")
    parser.add_argument(
        "--ended", action="store_true", help="all that ended before anybody saw them, with one note"
    )


def _silence(parser: Parser) -> None:
    parser.add_argument("alert", help="id of the alert")
    parser.add_argument("reason", nargs="+", help="why nobody needs to look")
    parser.add_argument(
        "--for", dest="duration", metavar="DURATION", help="such as 15m, 1h (default: until it ends)"
    )


def _tick(parser: Parser) -> None:
    parser.add_argument("item", help="id of the checklist item")
    parser.add_argument("reason", nargs="*", help="needed to waive, or for not applicable")
    states = ("done", "not-applicable", "waived", "open")
    parser.add_argument("--state", choices=states, default="done", help="default: done")
    parser.add_argument(
        "--evidence", metavar="WHAT", default="", help="what shows it: an exhibit, an entry or a link"
    )


def _claim(parser: Parser) -> None:
    parser.add_argument("item", help="id of the checklist item")
    parser.add_argument("--release", action="store_true", help="give it back")


def _severity(parser: Parser) -> None:
    parser.add_argument("level", help="1 to 5, or a name such as SEV-2, P1, S2; `suggest` asks the rules")
    parser.add_argument("reason", nargs="*", help="why")
    _answer(parser, "with `suggest`: what you know")


def _answer(parser: Parser, what: str) -> None:
    parser.add_argument(
        "--answer", metavar="QUESTION=ANSWER", action="append", default=[], help=f"{what}; repeatable"
    )


def _form(parser: Parser) -> None:
    add = parser.add_argument
    add("name", nargs="?", default="", help="which form (default: list them); on a terminal it asks")
    _answer(parser, "the answer to a question")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--decide", metavar="WHAT", default="", help="what you decide")
    what.add_argument("--accept", action="store_true", help="decide what the form proposes")
    add("--reason", default="", help="why, where you decide something else than the form proposes")


def _tag(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "tags",
        metavar="tag",
        nargs="*",
        help="as in cost-spike or type:cost-spike (default: show and propose)",
    )
    add("--remove", action="store_true", help="take them off")
    add("--reason", default="", help="why")
    add("--list", action="store_true", help="every axis with its tags")


def _escalate(parser: Parser) -> None:
    add = parser.add_argument
    add("who", nargs="?", default="", help="a contact, a role, or a legal clock (default: list them)")
    add("words", metavar="how", nargs="*", help="how they were told; with --waive: why they need not be")
    add("--person", metavar="NAME", default="", help="who it was")
    add("--reason", default="", help="why they are told, where the routing table does not say so")
    add("--waive", action="store_true", help="they need not be told")
    add(
        "--list",
        action="store_true",
        help="who must be told and why, who was, and who has been waiting how long",
    )


def _lead(parser: Parser) -> None:
    parser.add_argument("leader", choices=("security", "commander"), help="who leads from here on")
    parser.add_argument("reason", nargs="+", help="why")


def _handover(parser: Parser) -> None:
    add = parser.add_argument
    add("assigned", metavar="role", help="ic, ops, security, scribe, comms, or your own")
    add("person", help="who takes it")
    add(
        "--summary",
        metavar="FILE",
        default="",
        help="what you hand over (- is stdin), instead of the one that is made",
    )
    add("--edit", action="store_true", help="change it in $EDITOR first")
    add("--yes", action="store_true", help="record it without asking")
    add("--reason", default="", help="why")


def _who_can(parser: Parser) -> None:
    parser.add_argument(
        "verb", nargs="*", help="a verb, an authority, or `rollback CLASS` (default: list them)"
    )


def _checklist(parser: Parser) -> None:
    add = parser.add_argument
    add("action", nargs="?", choices=("show", "profile", "print"), default="show", help="default: show")
    add("profile", nargs="?", default="", help="profile: whose items to show, such as s001-10min")


def _assign(parser: Parser) -> None:
    parser.add_argument("assigned", metavar="role", help="ic, ops, security, scribe, comms, or your own")
    parser.add_argument("person", help="who")
    parser.add_argument("--release", action="store_true", help="take the role from that person")


def _contain(parser: Parser) -> None:
    parser.add_argument("how", nargs="+", help="what was stopped, and how you know")
    parser.add_argument("--at", metavar="TIME", default="", help="when, as in 14:05 or -5m (default: now)")


def _rollback(parser: Parser) -> None:
    states = ("open", "reversing", "reversed", "substituted", "verified", "held", "waived", "clear")
    parser.add_argument("action_class", metavar="class", help="id of the action class, as `show` lists it")
    parser.add_argument(
        "state", choices=(*states, "met"), help="its new state; `met`: one of its clocks is finished"
    )
    parser.add_argument("note", nargs="*", help="why, or how it was checked")
    parser.add_argument("--effects", metavar="N", type=int, help="how many actions need undoing")
    parser.add_argument("--clock", metavar="ID", help="with `met`: which clock")


def _updates(parser: Parser) -> None:
    parser.add_argument("every", nargs="?", help="how often updates go out, as in 30min; off stops the clock")
    parser.add_argument(
        "--next", metavar="DURATION", help="promise the next one for in that long, as in 15min"
    )
    parser.add_argument("--channel", default="", help="where")


def _moment(parser: Parser) -> None:
    chain = ("action", "signal", "trigger", "page", "acknowledgement")
    names = (*chain, "harm-confirmed", "contained", "recovered", "resolved")
    parser.add_argument("moment", choices=names, help="which moment of the detection chain or the response")
    parser.add_argument("source", nargs="*", help="how you know")
    parser.add_argument("--at", metavar="TIME", default="", help="when, as in 14:05 or -5m (default: now)")
    sure = ("recorded", "claimed", "estimated")
    parser.add_argument("--confidence", choices=sure, default="claimed", help="how sure (default: claimed)")


def _title(parser: Parser) -> None:
    parser.add_argument("title", nargs="+", help="the better title")


def _scope(parser: Parser) -> None:
    parser.add_argument("text", nargs="+", help="tenants, regions, features")


def _impact(parser: Parser) -> None:
    parser.add_argument("text", nargs="+", help="what users see, or the share of traffic")


def _alerts(parser: Parser) -> None:
    parser.add_argument("alert", nargs="?", default="", help="one alert, with the actions behind it")
    _listing(parser)


def _reason(parser: Parser) -> None:
    parser.add_argument("reason", nargs="+", help="why")


def _log(parser: Parser) -> None:
    add = parser.add_argument
    add("--follow", "-f", action="store_true", help="go on printing what is added, in the order of arrival")
    add(
        "--filter",
        metavar="WORDS",
        default="",
        help="only lines with these words; !WORDS: only lines without",
    )
    add("--search", metavar="WORDS", default="", help="the newest lines with these words, the newest first")
    add("--limit", "-n", metavar="N", type=_count, default=200, help="the last N lines (default: 200)")
    add("--history", metavar="ID", default="", help="one entry with every correction of it")
    add("--all", action="store_true", help="every line")
    add("--system", action="store_true", help="also the program's own bookkeeping")


def _listing(parser: Parser) -> None:
    parser.add_argument("--all", action="store_true", help="also what is over")


def _verify(parser: Parser) -> None:
    parser.add_argument(
        "bundle", nargs="?", default="", help="a bundle, packed or unpacked, instead of a record"
    )
    parser.add_argument("--all", action="store_true", help="every incident and the watcher's record")
    parser.add_argument(
        "--against",
        metavar="WHAT",
        default="",
        help="hold the record against a bundle, another home or case directory, a remote, or twelve words",
    )


def _export(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--format",
        choices=("md", "jsonl", "timesketch", "iris", "bundle"),
        default="md",
        help="report, every event, a timeline for another tool, or a sealed bundle (default: md)",
    )
    add("--bundle", dest="format", action="store_const", const="bundle", help="the same as --format bundle")
    add("--output", "-o", metavar="FILE", help="write to FILE instead of stdout")
    add("--force", action="store_true", help="replace FILE when it exists")
    policies = ("none", "secrets", "secrets+personal")
    add("--policy", choices=policies, help="what is masked (default: redaction.policy of the configuration)")
    add(
        "--to",
        metavar="AGE1...",
        action="append",
        default=[],
        help="with --bundle: encrypt for this age recipient; repeatable",
    )
    add("--reason", default="", help="why a copy leaves; stands on the record")


def _import(parser: Parser) -> None:
    add = parser.add_argument
    add("file", help="a bundle, or a timeline of Timesketch (JSONL, CSV) or DFIR-IRIS (CSV)")
    add("--identity", metavar="FILE", default="", help="age secret key, for a bundle that was made for you")
    add("--reason", default="", help="why it is brought in")


def _hold(parser: Parser) -> None:
    add = parser.add_argument
    add("reason", nargs="*", help="what the hold is for; with --lift: why it is over")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--event", metavar="ID", default="", help="hold one entry, with its corrections")
    what.add_argument(
        "--subject", metavar="WORDS", default="", help="hold every entry in which these words stand"
    )
    what.add_argument("--lift", metavar="ID", default="", help="end the hold that this entry set")
    what.add_argument(
        "--list", action="store_true", help="the holds that stand, and what waits for them to end"
    )
    add("--authority", default="", help="who asks for it, such as a court and its reference")


def _erase(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "entries", nargs="+", metavar="entry", help="id of an entry; its corrections and its files go with it"
    )
    add("--reason", required=True, help="why; do not repeat what is to go")
    add("--authority", required=True, help="by which right or duty, as in GDPR Art. 17")


def _unmask(parser: Parser) -> None:
    parser.add_argument("entry", help="id of the entry")
    parser.add_argument("reason", nargs="+", help="what you look at it for")


def _preserve(parser: Parser) -> None:
    add = parser.add_argument
    for name, what in (
        ("trace", "a trace"),
        ("session", "a session or conversation"),
        ("run", "one invocation of an agent"),
        ("agent", "everything of an agent"),
        ("approval", "an approval"),
        ("alert", "what an alert rests on, and what its agent did around it"),
    ):
        add(f"--{name}", metavar="ID", action="append", default=[], help=f"{what}; repeatable")
    add(
        "--id",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help="by any name of the evidence schema; without a value: the evidence should name it",
    )
    add("--reason", default="", help="why")
    add("--open", action="store_true", help="ask for nothing new, only carry out what was asked for before")


def _attach(parser: Parser) -> None:
    add = parser.add_argument
    add("what", nargs="+", help="a file; - is standard input; with --command: -- and the command")
    add("--command", dest="command_line", action="store_true", help="keep what a command prints; no shell")
    add("--reason", default="", help="why it is kept")
    add("--title", default="", help="what to call it")
    add("--field", metavar="NAME", default="", help="the field of the evidence schema that it shows")
    add("--seconds", metavar="N", type=float, help="how long the command may take (default: 60)")


def _evidence(parser: Parser) -> None:
    add = parser.add_argument
    add("action", nargs="?", choices=("list", "show", "own"), default="list", help="default: list")
    add("subject", nargs="?", default="", help="show: id of the exhibit; own: what is not recorded")
    add("person", nargs="?", default="", help="own: who sees to it")
    add("--part", metavar="N", type=int, default=0, help="show: one part of it")
    add("--raw", metavar="FILE", default="", help="show: write the exact bytes of a part into a new file")
    add("--schema", action="store_true", help="the names that evidence goes by")


def _effects(parser: Parser) -> None:
    add = parser.add_argument
    actions = (
        "list", "draft", "show", "classes", "move", "reconcile", "classify", "add", "reverse", "verify", "audit", "extend",
    )  # fmt: skip
    add("action", nargs="?", choices=actions, default="list", help="default: list")
    add(
        "words",
        metavar="WORD",
        nargs="*",
        help="ids of effects, by their beginnings; move: the state before them; reconcile: yes or no before them; "
        "classify: the class before them; add: the class, then what was done; audit: open or close, the class, the "
        "audit; extend: why",
    )
    add("--class", dest="action_class", metavar="ID", help="only effects of this class; none: of no class")
    add("--state", action="append", default=[], choices=EFFECT_STATES, help="only effects that are so far")
    add(
        "--agent",
        metavar="NAME",
        action="append",
        default=[],
        help="only of this agent; draft, add, extend: this agent",
    )
    add(
        "--tenant",
        metavar="NAME",
        default="default",
        help="draft, extend: whose agent it is (default: default)",
    )
    add("--principal", metavar="NAME", default="", help="only on behalf of this principal")
    add("--text", metavar="WORDS", default="", help="only with these words in them")
    add("--unclear", action="store_true", help="only those of which nobody knows whether they happened")
    add(
        "--all",
        action="store_true",
        help="move, reconcile, reverse, verify: all that fit, without ids; list: all of them",
    )
    add("--note", metavar="TEXT", default="", help="why, or how it was checked")
    add("--how", metavar="TEXT", default="", help="reconcile: how it was seen")
    add("--evidence", metavar="TEXT", default="", help="what shows it: an exhibit, a report, a reference")
    add("--instead", metavar="TEXT", default="", help="move substituted: what was done instead")
    add("--target", metavar="TEXT", default="", help="add: what was changed")
    add("--key", metavar="TEXT", default="", help="add: its idempotency key")
    add(
        "--since",
        metavar="TIME",
        default="",
        help="draft, extend: from when on (default: an hour before the incident)",
    )
    add("--for-real", action="store_true", help="reverse: let it take effect (default: a dry run)")
    add(
        "--confirm",
        metavar="CLASS",
        default="",
        help="reverse: the class once more, where its reversal warns",
    )


EFFECT_STATES = ("open", "reversing", "reversed", "substituted", "verified", "nothing", "waived")


def _remote(parser: Parser) -> None:
    add = parser.add_argument
    actions = ("list", "add", "remove", "probe")
    add("action", nargs="?", choices=actions, default="list", help="default: list")
    add("name", nargs="?", default="", help="what it is called here, such as team-bucket")
    add("url", nargs="?", default="", help="where it is, such as dir:/mnt/stick or s3://bucket/incidents")
    add(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="what its client needs beside; repeatable (secrets are better in the environment)",
    )
    add(
        "--mask",
        choices=("none", "secrets", "secrets+personal"),
        default="none",
        help="what it does not get (default: none); with a policy it holds no full copy",
    )
    add("--no-probe", action="store_true", help="set it up without trying it first")


def _sync(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", default="", help="only with this remote (default: with all)")


def _roster(parser: Parser) -> None:
    add = parser.add_argument
    actions = ("list", "add", "remove", "revoke")
    add("action", nargs="?", choices=actions, default="list", help="default: list")
    add("replica", nargs="?", default="", help="which console: the first characters of its id")
    add("reason", nargs="*", help="why; needed to remove and to revoke")
    add("--person", metavar="NAME", default="", help="with `add`: whose console it is")
    add(
        "--since",
        metavar="TIME",
        default="",
        help="with `revoke`: from when on it was not its owner's alone, as in 14:05 or -2h (default: ever)",
    )
    add("--reason", dest="why", metavar="REASON", default="", help="the same as the words at the end")
    add("--yes", action="store_true", help="go on although the state of the incident changes by it")


def _play(parser: Parser) -> None:
    add = parser.add_argument
    actions = (
        "list", "open", "close", "show", "fill", "run", "approve", "tick", "skip", "decide", "settle", "stop",
        "grant", "withdraw", "auto", "freeze", "lift", "exempt",
    )  # fmt: skip
    add("action", nargs="?", choices=actions, default="show", help="default: show")
    add("words", nargs="*", metavar="what", help="the playbook, step, run or value, and what to do with it")
    add("--playbook", metavar="ID", default="", help="which playbook, where several are open")
    add("--for-real", action="store_true", help="run: let it take effect (default: a dry run)")
    add("--confirm", metavar="STEP", default="", help="run: the step once more, where it destroys something")
    add("--reason", default="", help="why, or what you saw")
    add("--evidence", metavar="WHAT", default="", help="tick: what shows it, such as the id of an exhibit")
    add("--open", action="store_true", help="tick: open the step again")
    add("--waive", action="store_true", help="skip: it applies and is left out (default: it does not apply)")
    add("--for", dest="duration", metavar="DURATION", default="", help="grant: for how long, as in 1h")


def _message(parser: Parser) -> None:
    add = parser.add_argument
    actions = (
        "list", "templates", "draft", "show", "edit", "waive", "approve", "send", "resume", "settle", "cancel",
    )  # fmt: skip
    add("action", nargs="?", choices=actions, default="list", help="default: list")
    add(
        "words",
        nargs="*",
        metavar="what",
        help="the template, or the message by its id (default: the newest)",
    )
    add("--set", metavar="NAME=VALUE", action="append", default=[], help="draft, edit: a fact; repeatable")
    add("--subject", help="edit: another subject")
    add("--text", help="edit: another text; - reads stdin")
    add("--to", metavar="SENDER", action="append", default=[], help="send, settle, cancel: where; repeatable")
    add("--publish", action="store_true", help="send: let it go out (default: show what would)")
    add("--notify", action="store_true", help="send: a status page tells its subscribers")
    add("--no-wait", action="store_true", help="send: do not wait for what becomes of it")
    add("--reason", default="", help="why, or what you saw")


def _ordering(parser: Parser) -> None:
    add = parser.add_argument
    add("--reason", default="", help="why, in one line")
    add("--yes", action="store_true", help="do it without asking; needed where there is no terminal")


def _halt(parser: Parser) -> None:
    add = parser.add_argument
    scopes = ("all", "agent", "tool", "queue")
    add("scope", nargs="?", choices=scopes, default="all", help="how much is stopped (default: all)")
    add("subject", metavar="NAME", nargs="*", help="which agent, tool or queue")
    add("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    _ordering(parser)


def _move(parser: Parser) -> None:
    add = parser.add_argument
    add("verb", nargs="?", default="", help="which move, as in disable_mcp_server (default: list them)")
    add("subject", metavar="SUBJECT", nargs="*", help="what it is applied to")
    add("--arg", metavar="NAME=VALUE", action="append", default=[], help="what the move needs; repeatable")
    add("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    _ordering(parser)


def _restore(parser: Parser) -> None:
    add = parser.add_argument
    add("order", help="the order to take back, as `containment` lists it")
    add(
        "--only", metavar="TARGET", action="append", default=[], help="let only this target go on; repeatable"
    )
    _ordering(parser)


def _containment(parser: Parser) -> None:
    add = parser.add_argument
    add("order", nargs="?", default="", help="show the receipt of this order (default: list all)")
    add("--answer", metavar="TARGET", default="", help="say that this target was dealt with")
    add("--how", default="", help="with --answer: what was done about it")
    add("--evidence", metavar="WHAT", default="", help="with --answer: what shows it")
    add("--watch", action="store_true", help="go on with what nobody carries, until nothing is open")


def _page(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "contacts",
        nargs="*",
        help="contacts of the routing table or roles (default: whoever the senders reach)",
    )
    add("--reason", default="", help="why, in one line")
    add("--to", metavar="SENDER", action="append", default=[], help="through this sender; repeatable")
    deed = parser.add_mutually_exclusive_group()
    deed.add_argument("--acknowledge", action="store_true", help="say there that somebody works on it")
    deed.add_argument("--resolve", action="store_true", help="say there that it is over")
    add("--no-wait", action="store_true", help="do not wait for what becomes of it")


def _sender(parser: Parser) -> None:
    add = parser.add_argument
    add("action", nargs="?", choices=("list", "test"), default="list", help="default: list")
    add("name", nargs="?", default="", help="test: only this one; nothing is sent")


def _readiness(parser: Parser) -> None:
    add = parser.add_argument
    add("action", nargs="?", choices=("list", "answer"), default="list", help="default: list")
    add("question", nargs="?", default="", help="answer: id of the question, as the list shows it")
    add("answer", nargs="?", choices=("yes", "no", "unknown"), help="answer: what you say to it")
    add("--list", action="store_true", help="list what is answered yes too")
    add("--note", default="", help="what the answer rests on")
    add("--owner", metavar="NAME", default="", help="who closes the gap")


def _coverage(parser: Parser) -> None:
    add = parser.add_argument
    add("--list", action="store_true", help="list what is proven too")
    add("--moves", action="store_true", help="list every move in the order of containment instead")
    add(
        "--fire",
        metavar="CANARY",
        action="append",
        default=[],
        help="live fire: stop this canary, see it stand, let it go on; repeatable",
    )
    add("--verb", metavar="VERB", default="", help="fire: only this move (default: its halts)")
    add("--budget", metavar="SECONDS", type=int, default=30, help="fire: until the verdict (default: 30)")


def _quarantine(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "action",
        nargs="?",
        choices=("list", "release", "drop", "hold"),
        default="list",
        help="default: list, after asking every queue",
    )
    add("actions", nargs="*", metavar="ID", help="the held actions, as the list shows them")
    add("--queue", metavar="NAME", default="", help="only this queue")
    add("--agent", metavar="NAME", default="", help="only those of this agent")
    add("--all", action="store_true", help="all that wait (with --queue or --agent: all of those)")
    add("--reason", default="", help="why; needed to release and to drop")


def _init(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "questions",
        metavar="QUESTION",
        nargs="*",
        help="ask only these, such as agents (default: what is open)",
    )
    add("--again", action="store_true", help="ask everything again, also what was left open or is filled in")
    add("--answers", metavar="FILE", default="", help="take the answers from FILE instead of asking")
    add("--replace", action="store_true", help="with --answers: let the file win over what is configured")
    add("--blank", action="store_true", help="print a file to fill in")


def _identity(parser: Parser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=("show", "passphrase", "keyring"), default="show", help="default: show"
    )


def _playbook(parser: Parser) -> None:
    add = parser.add_argument
    actions = ("list", "show", "print", "new", "lint")
    add("action", nargs="?", choices=actions, default="list", help="default: list")
    add(
        "names",
        metavar="ID",
        nargs="*",
        help="show, print, new: id of a document, or kind/id; lint: files and directories (default: all)",
    )
    add("--kind", metavar="KIND", default="", help="only documents of this kind, such as responses")
    add("--section", metavar="NAME", default="", help="show: only this part, such as mitigation")
    add("--like", metavar="ID", default="", help="new: begin with a copy of this document")


def _completion(parser: Parser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell")


def _config(parser: Parser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=("show", "check", "path"), default="show", help="default: show"
    )


STORE = ("home", "json")
_RUNBOOK = ("home", "incident", "as", "role", "playbooks", "json")

COMMANDS: dict[str, Command] = {
    "open": Command(
        "open the console (what plain `warroom` does)",
        "open:run",
        _open,
        ("home", "incident", "as", "role", "playbooks"),
    ),
    "watch": Command("take telemetry in, run the tripwires, record alerts", "watch:run", _watch, STORE),
    "warden": Command(
        "give agents leave to act, a few seconds at a time, and take it back", "warden:run", _warden, STORE
    ),
    "demo": Command(
        "rehearse on a synthetic incident in a home of its own", "demo:run", _demo, ("as", "role")
    ),
    "fleet": Command(
        "start small real agents to practise on; undo what they did", "fleet:run", _fleet, ("json",)
    ),
    "declare": Command(
        "declare an incident",
        "record:declare",
        _declare,
        ("home", "incident", "as", "role", "playbooks", "json"),
    ),
    "note": Command("write a line into the timeline", "record:note", _note),
    "amend": Command("correct a line; the old text stays readable", "record:amend", _amend),
    "retract": Command("take an entry back; it stays, struck through", "record:retract", _retract),
    "reinstate": Command("let a retracted entry count again", "record:reinstate", _reinstate),
    "dispute": Command(
        "say that an entry is not so; it counts until that is settled", "record:dispute", _dispute
    ),
    "settle": Command("end the dispute about an entry", "record:settle", _settle),
    "undo": Command("take back your newest change of the incident's state", "record:undo", _nothing),
    "ack": Command("acknowledge an alert", "record:ack", _ack),
    "silence": Command("ask for no attention to an alert", "record:silence", _silence),
    "tick": Command("settle a checklist item", "record:tick", _tick),
    "claim": Command("take a checklist item on", "record:claim", _claim),
    "severity": Command("change the severity, or have one suggested", "record:severity", _severity),
    "form": Command("answer a form: it proposes, you decide", "triage:form", _form, _RUNBOOK),
    "tag": Command("say what kind of incident it is", "triage:tag", _tag, _RUNBOOK),
    "escalate": Command("who must be told, and who was", "triage:escalate", _escalate, _RUNBOOK),
    "lead": Command("hand the incident to the security lead, or back", "triage:lead", _lead, _RUNBOOK),
    "handover": Command("hand a role over, with a summary", "triage:handover", _handover),
    "who-can": Command("who may do something, and who can instead", "triage:who_can", _who_can, _RUNBOOK),
    "checklist": Command(
        "the checklist: due, overdue, evidence; or that of another profile",
        "triage:checklist",
        _checklist,
        _RUNBOOK,
    ),
    "assign": Command("give a role to a person", "record:assign", _assign),
    "contain": Command("confirm containment, which starts the rollback clocks", "record:contain", _contain),
    "halt": Command("stop agents, a tool or a queue, and see that they stand", "halt:halt", _halt),
    "move": Command("carry out another containment move", "halt:move", _move),
    "restore": Command("let go on what was stopped, all or some of it", "halt:restore", _restore),
    "containment": Command(
        "what is stopped, what is open, and the receipts", "halt:containment", _containment
    ),
    "rollback": Command("move an action class of the rollback tracker", "record:rollback", _rollback),
    "effects": Command(
        "the ledger of effects: draft, look, reconcile, reverse, check, audit",
        "effects:run",
        _effects,
        _RUNBOOK,
    ),
    "updates": Command("set how often updates go out", "record:updates", _updates),
    "moment": Command("record a time of the detection chain or the response", "record:moment", _moment),
    "title": Command("give the incident a better title", "record:title", _title),
    "scope": Command("say whom it reaches", "record:scope", _scope),
    "impact": Command("say what users see", "record:impact", _impact),
    "close": Command("close the incident", "record:close", _reason),
    "reopen": Command("go on with a closed incident", "record:reopen", _reason),
    "show": Command(
        "state of an incident: roles, clocks, alerts, checklist, rollback", "show:show", _nothing
    ),
    "log": Command("the timeline", "log:run", _log, ("home", "incident", "json")),
    "incidents": Command("the incidents", "show:incidents", _listing, STORE),
    "alerts": Command("the alerts", "show:alerts", _alerts, STORE),
    "play": Command(
        "work through a playbook: fill in, approve, run, decide",
        "play:run",
        _play,
        ("home", "incident", "as", "role", "playbooks", "json"),
    ),
    "message": Command("draft, check, approve and send a message to others", "comms:message", _message),
    "page": Command("wake somebody, or say that it is not needed any more", "comms:page", _page),
    "sender": Command("where messages can go, and whether that works", "comms:sender", _sender, STORE),
    "quarantine": Command(
        "held actions: list them, release, drop or hold them", "quarantine:run", _quarantine
    ),
    "coverage": Command(
        "which agent and tool has no stop that works; live fire on a canary",
        "coverage:run",
        _coverage,
        ("home", "as", "role", "json"),
    ),
    "preserve": Command("keep telemetry as evidence, by its ids", "evidence:preserve", _preserve),
    "attach": Command("keep a file, pasted text, or what a command prints", "evidence:attach", _attach),
    "evidence": Command("what is kept, what was asked for, what is missing", "evidence:evidence", _evidence),
    "verify": Command(
        "check that the record, or a bundle, is whole and unaltered",
        "verify:run",
        _verify,
        ("home", "incident", "json"),
    ),
    "seal": Command("vouch for everything that is here", "record:seal", _nothing),
    "export": Command("write the report, every event, or a sealed bundle", "export:run", _export),
    "import": Command("take in a bundle, or the timeline of another tool", "import_:run", _import),
    "hold": Command("set, lift or list legal holds", "hold:run", _hold),
    "erase": Command("erase the text of entries, for good", "erase:run", _erase),
    "unmask": Command("look at what is masked in an entry; stands on the record", "hold:unmask", _unmask),
    "remote": Command(
        "where incidents are shared with other consoles", "remote:run", _remote, ("home", "json")
    ),
    "sync": Command("exchange events with the remotes now", "remote:sync", _sync, ("home", "json")),
    "roster": Command("whose events count in an incident", "roster:run", _roster),
    "identity": Command("the key of this console, and its passphrase", "roster:identity", _identity, STORE),
    "playbook": Command(
        "the documents of the runbook: read, print, begin and check them",
        "playbook:run",
        _playbook,
        ("home", "playbooks", "json"),
    ),
    "init": Command(
        "set up: what only you know, the agents, what they may do, limits",
        "init:run",
        _init,
        ("home", "playbooks"),
    ),
    "contacts": Command(
        "who is told and who may, and the links that you filled in",
        "readiness:contacts",
        _nothing,
        ("home", "playbooks", "json"),
    ),
    "readiness": Command(
        "what is ready for an incident, what is not, and who sees to it",
        "readiness:run",
        _readiness,
        ("home", "as", "role", "playbooks", "json"),
    ),
    "doctor": Command(
        "explain what works here and what does not", "doctor:run", _nothing, ("home", "playbooks", "json")
    ),
    "config": Command("show or check the configuration", "configuration:run", _config, ("json",)),
    "completion": Command("print a completion script for a shell", "completion:run", _completion, ()),
}


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError("from 1 to 1000000")
    return value


def _speed(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 1000:
        raise argparse.ArgumentTypeError("from 0.1 to 1000")
    return value


def _agents(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 2_000:
        raise argparse.ArgumentTypeError("from 1 to 2000")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0.001 <= value <= 50:
        raise argparse.ArgumentTypeError("from 0.001 to 50")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError("from 0 to 86400")
    return value
