"""`warroom config`: what is in force, and what is wrong with the file."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import msgspec

from console.cli import exits
from console.cli.context import Context
from console.config import Config, config_path, load
from playbooks import duration


def run(options: Namespace) -> int:
    """`warroom config`."""
    context = Context(options)
    if options.action == "path":
        path = str(config_path())
        context.say(path, {"path": path})
        return exits.OK
    config = load()
    if options.action == "check":
        from console.cli.open import checked

        config = _points_checked(checked(config))
        for problem in config.problems:
            context.say(str(problem), problem._asdict())
        if not config.problems:
            context.say(
                f"{config.path or config_path()}: nothing to complain about"
                + ("" if config.path else ", there is no file")
            )
        return exits.FAILED if config.problems else exits.OK
    values = settings(config)
    context.say("\n".join(f"{name} = {value}" for name, value in values.items()), values)
    return exits.OK


def _points_checked(config: Config) -> Config:
    """Return `config` with what is wrong with the points, as only their actuators can tell."""
    if not config.points:
        return config
    from console.containment.points import Points

    names = [each.name for each in config.points]
    for name, what in Points(config).problems.items():
        config = config.refuse(("points", names.index(name)), f"Point {name}: {what}")
    return config


def settings(config: Config) -> dict[str, Any]:
    """Every setting with the value in force, by dotted name; durations as text."""
    found: dict[str, Any] = {}

    def walk(value: Any, name: str) -> None:
        if isinstance(value, msgspec.Struct):
            for each in msgspec.structs.fields(type(value)):
                if not each.encode_name.startswith("-"):
                    walk(
                        getattr(value, each.name), f"{name}.{each.encode_name}" if name else each.encode_name
                    )
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            for at, item in enumerate(value):
                walk(item, f"{name}[{at}]")
        else:
            from console.config import Duration

            found[name] = duration.say(value) if isinstance(value, Duration) else msgspec.to_builtins(value)

    walk(config, "")
    return found
