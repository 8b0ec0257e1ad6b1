"""What a typed answer has to be, where somebody relies on it later: said at once, while whoever knows is still there."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playbooks.library import Library

Path = tuple[str, ...]
"""Keys of a setting."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = 128
"""Characters of a name that stands on an entry."""


def check(paths: Sequence[Path], value: str | list[str], library: Library) -> None:
    """Check an answer that goes to `paths` in the configuration.

    Raises:
        ValueError: it is none, in words that can stand before a full stop.
    """
    values = [value] if isinstance(value, str) else value
    match paths[0]:
        case ("organisation", "time-zone"):
            for each in values:
                time_zone(each)
        case ("organisation", "business-calendar"):
            calendar(values)
        case ("authority", _):
            holders(values, [path[-1] for path in paths], library)


def time_zone(text: str) -> None:
    """Check the name of a time zone. Where the machine knows no time zones, every name passes.

    Raises:
        ValueError: there is none of this name.
    """
    from zoneinfo import available_timezones

    known = available_timezones()
    if not known or text in known:
        return
    plain = {name.lower(): name for name in known}
    city = {name.rpartition("/")[2].lower(): name for name in sorted(known)}
    word = text.lower().replace(" ", "_")
    near = plain.get(word) or city.get(word) or next(iter(get_close_matches(word, plain, 1)), "")
    raise ValueError(f"There is no time zone {text[:80]}, but {plain.get(near, near) or 'Europe/Berlin'}")


def calendar(parts: Sequence[str]) -> None:
    """Check a business calendar: weekdays such as `mon-fri` or `mon, wed`, and holidays such as 2026-12-25.

    Raises:
        ValueError: a part is neither, or no weekday is named.
    """
    days = 0
    for part in parts:
        words = re.split(r"[\s,]+", part.strip().lower())
        if all(_weekdays(word) for word in words):
            days += 1
        elif not all(_is_date(word) for word in words):
            raise ValueError(
                f"{part[:80]} is neither weekdays, such as mon-fri, nor a day that there is, such as 2026-12-25"
            )
    if not days:
        raise ValueError("It names no weekdays on which you work, such as mon-fri")


def holders(people: Sequence[str], authorities: Sequence[str], library: Library) -> None:
    """Check who holds some authorities.

    Args:
        people: by name.
        authorities: ids of what they hold.
        library: says how many must hold each at least.

    Raises:
        ValueError: a name cannot stand on an entry, stands there twice, or there are too few.
    """
    from playbooks.guidance import Authorities

    known = {each.id: each for each in library.only(Authorities).authorities}
    for name in people:
        if len(name) > LONGEST:
            raise ValueError(f"{name[:40]}… is longer than a name on an entry can be ({LONGEST} characters)")
        if [each.casefold() for each in people].count(name.casefold()) > 1:
            raise ValueError(f"{name} is named twice")
    least = max((known[each].least for each in authorities if each in known), default=0)
    if len(people) < least:
        raise ValueError(
            f"That is {len(people)}, and at least {least} are needed, so that one of them can always be reached"
        )


def _weekdays(word: str) -> bool:
    return all(day in WEEKDAYS for day in word.split("-", 1))


def _is_date(word: str) -> bool:
    try:
        return dt.date.fromisoformat(word).isoformat() == word
    except ValueError:
        return False
