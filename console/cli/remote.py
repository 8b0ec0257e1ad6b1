"""`warroom remote`, `warroom sync`: where incidents are shared, and how they stand there."""

from __future__ import annotations

import asyncio
import contextlib
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from console.cli import exits
from console.cli.context import Context
from console.cli.settings import add, document, entries, write
from console.config import Config, config_path
from console.config import Remote as Setting
from console.plain import many
from console.refusal import Refused
from console.shown import visible
from data.clock import iso
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from console.evidence.redaction import Redaction
    from data.home import Home
    from data.remotes import Findings, Remote
    from data.shared import Outbox


def run(options: Namespace) -> int:
    """`warroom remote`."""
    context = Context(options)
    if options.action == "list":
        return _list(context)
    if not options.name:
        raise Refused("Which remote?", "As in: warroom remote add team s3://bucket/incidents.")
    match options.action:
        case "add":
            return _add(context)
        case "remove":
            return _remove(context)
        case _:
            return _probe(context, _named(context, options.name))


def sync(options: Namespace) -> int:
    """`warroom sync`: take one turn with every remote, or with one, now."""
    from console.sharing import meeting

    context = Context(options)
    home = context.home(create=True)
    meet = meeting(context.config, home)
    if meet is None:
        raise Refused(
            "A drill is shared with nobody." if home.mode == "drill" else "No remote is set up.",
            "" if home.mode == "drill" else "As in: warroom remote add team dir:/mnt/share/warroom.",
        )
    if options.name:
        _known(options.name, (name for name, _, _ in meet.remotes))
    failed = False
    for name, url, opener in meet.remotes:
        if options.name not in ("", name):
            continue
        try:
            with contextlib.closing(opener()) as remote:
                for value in _turns(home, name, remote, meet.masks.get(name)):
                    context.say(_told(name, value), {"remote": name, **value})
                    failed = failed or bool(value["bad"] or value.get("trouble"))
        except StoreTrouble as error:
            failed = True
            context.say(f"{name} ({url}): {error}", {"remote": name, "error": str(error)})
    if meet.policy == "first-use":
        asyncio.run(_trust(context, home))
    return exits.FAILED if failed else exits.OK


async def _trust(context: Context, home: Home) -> None:
    """Put consoles that appear for the first time on the roster, as an open console does."""
    async with context.desk() as desk:
        for state in await desk.incidents():
            if state.strangers and home.replica in state.roster.members:
                await desk.trust(await desk.enter(state.case))


def _turns(home: Home, name: str, remote: Remote, mask: Redaction | None) -> Iterator[dict[str, Any]]:
    from console.sharing import exchange
    from console.timeline import project
    from data.case import Case, adopt
    from data.sync import Sync, cases, founding

    for case_id in cases(remote):
        if case_id not in home.cases() and (parcel := founding(remote, case_id)) is not None:
            try:
                adopt(home, parcel)
            except StoreTrouble as trouble:
                # The other incidents are exchanged all the same.
                yield {"incident": f"INC-{case_id[:4].upper()}", "bad": {}, "trouble": str(trouble)}
    for case_id in home.cases():
        value: dict[str, Any] = {"incident": f"INC-{case_id[:4].upper()}", "bad": {}}
        try:
            case = Case.open(home.case_dir(case_id), home, project)
        except StoreTrouble as trouble:
            yield {**value, "trouble": str(trouble)}
            continue
        try:
            if not case.writer:
                # Nobody may write it, or another process of this machine does: the lock tells them apart.
                yield {**value, "trouble": case.trouble} if case.trouble else {**value, "elsewhere": True}
                continue
            sync = Sync(case, remote, name, home.replica, mask)
            turn = exchange(sync, name, mask)
            while turn.later:
                turn.add(exchange(sync, name, mask))
            outbox = sync.outbox()
            yield {
                **value,
                "pulled": turn.pulled,
                "pushed": turn.pushed,
                "blobs": turn.blobs,
                "bad": turn.bad,
                "kept": sorted(turn.kept),
                "forked": turn.forked,
                "pending": outbox.pending,
                "withheld": len(sync.shared.withheld) + len(sync.blobs_withheld),
            }
        finally:
            case.close()


def _told(name: str, value: dict[str, Any]) -> str:
    head = f"{value['incident']} with {name}: "
    if value.get("trouble"):
        return head + f"NOT SHARED: {visible(value['trouble'], 600)}"
    if value.get("elsewhere"):
        return head + "another war room on this machine has it open, and shares it"
    text = (
        head + f"{many(value['pulled'], 'event')} in, {value['pushed']:,} out, {many(value['blobs'], 'blob')}"
    )
    if value["pending"]:
        text += f", {value['pending']:,} not shared"
    if value["withheld"]:
        text += f"; {_withholds(value['withheld'])}"
    if value["forked"]:
        text += "\n  FORK: somebody else wrote in this console's name; both are kept (see `warroom log`)"
    for bad, reason in value["bad"].items():
        text += f"\n  ALARM: {visible(bad, 200)}: {visible(reason, 200)}"
        text += "; its bytes are in quarantine" if bad in value["kept"] else ""
    return text


def _withholds(count: int) -> str:
    return f"withholds {many(count, 'text')} by policy"


def _list(context: Context) -> int:
    from data.shared import Shared

    if not context.config.remote:
        context.say("No remote is set up: incidents stay on this machine alone.")
        return exits.OK
    home = context.home(create=True)
    cases = [home.case_dir(case) for case in home.cases()]
    for each in context.config.remote:
        value: dict[str, Any] = {"name": each.name, "url": each.url, "mask": each.mask, "incidents": []}
        text = f"{each.name}  {each.url}"
        if each.mask != "none":
            value["withheld"] = sum(len(Shared(case, each.name).withheld) for case in cases)
            text += f"  masked by {each.mask}, no full copy: {_withholds(value['withheld'])}"
        for case in cases:
            outbox = Shared(case, each.name).outbox(home.replica)
            code = f"INC-{case.name[:4].upper()}"
            value["incidents"].append({"incident": code, "pending": outbox.pending, "oldest": _when(outbox)})
            if outbox.pending:
                text += f"\n  {code}  {outbox.pending:,} not shared, the oldest of {_when(outbox)}"
        if value["incidents"] and not any(incident["pending"] for incident in value["incidents"]):
            text += "\n  everything written here is shared"
        context.say(text, value)
    return exits.OK


def _when(outbox: Outbox) -> str:
    return iso(outbox.oldest, 0) if outbox.oldest is not None else ""


def _add(context: Context) -> int:
    name, url = context.options.name, context.options.url
    if not url:
        raise Refused("Where is it?", "As in: warroom remote add team s3://bucket/incidents.")
    if not config_path().exists():
        context.config = Config()  # a file that was named and is made here is no mistake
    if any(each.name == name for each in context.config.remote):
        raise Refused(f"There is a remote {name} already.", f"Remove it first: warroom remote remove {name}.")
    options = dict(_option(text) for text in context.options.option)
    mask = context.options.mask
    setting = Setting(name=name, url=url, options=options, mask=mask)
    path = config_path()
    settings = document(path)
    # Probed before it is written down: a remote that cannot be reached is better noticed now than at 03:00.
    code = _probe(context, setting) if not context.options.no_probe else exits.OK
    import tomlkit

    mask_too = {"mask": mask} if mask != "none" else {}
    add(
        settings,
        "remote",
        {"name": name, "url": url, **({"options": options} if options else {}), **mask_too},
    )
    write(path, tomlkit.dumps(settings))
    context.say(f"{name} is set up in {path}; a console that is open takes it at its next start.")
    return code


def _remove(context: Context) -> int:
    import tomlkit

    name = context.options.name
    path = config_path()
    settings = document(path)
    _named(context, name)
    kept = tomlkit.aot()
    for each in entries(settings, "remote"):
        if each["name"] != name:
            kept.append(each)
    if len(kept):
        settings["remote"] = kept
    else:
        del settings["remote"]
    write(path, tomlkit.dumps(settings))
    context.say(f"{name} is no longer used; what is stored there stays there.")
    return exits.OK


def _named(context: Context, name: str) -> Setting:
    remotes = {each.name: each for each in context.config.remote}
    _known(name, remotes)
    return remotes[name]


def _known(name: str, names: Iterable[str]) -> None:
    from difflib import get_close_matches

    known = list(names)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise Refused(
            f"There is no remote {name}.",
            f"Did you mean {near[0]}?" if near else "`warroom remote` lists them.",
        )


def _probe(context: Context, setting: Setting) -> int:
    from data.remotes.opening import open_remote

    with contextlib.closing(open_remote(setting.url, setting.options)) as remote:
        found = remote.probe()
    value = {
        "name": setting.name,
        "url": setting.url,
        "create": found.create,
        "reads_back": found.reads_back,
        "lists": found.lists,
        "sorted": found.sorted,
        "skew_ms": found.skew_ms,
        "durable": found.durable,
        "locked": found.locked,
        "warnings": list(found.warnings),
    }
    context.say("\n".join(_findings(setting.name, found)), value)
    return exits.OK if found.reads_back and found.lists else exits.FAILED


_CREATE = {
    "atomic": "refuses to replace an object, even in a race",
    "sequential": "refuses to replace an object, but not in a race",
    "none": "replaces objects silently",
}


def _findings(name: str, found: Findings) -> Iterator[str]:
    yield f"{name}: {_CREATE[found.create]}"
    yield f"  reads back what was written: {'yes' if found.reads_back else 'NO'}"
    yield f"  lists what was written at once: {'yes' if found.lists else 'NO'}"
    if found.skew_ms is not None:
        yield f"  its clock: {found.skew_ms:+,} ms from ours"
    locked = found.locked or "none seen"
    for title, text in (("durability", found.durable), ("versions and locks", locked)):
        if text:
            yield f"  {title}: {visible(text, 200)}"
    for warning in found.warnings:
        yield f"  warning: {visible(warning, 300)}"


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Refused(f"`{text}` is not an option.", "Write it as name=value.")
    return key, value
