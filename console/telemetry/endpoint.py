"""An endpoint as people mean it: method, host and path, with the parts that differ per object taken out."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SEGMENTS = 8
LIMIT = 256

_ID = re.compile(
    r"""
      \d+                                                   # 1042
    | [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
    | (?=[^/]*\d)[0-9a-f]{8,}                               # commit, trace
    | (?=[^/]*\d)[0-9A-HJKMNP-TV-Z]{26}                     # ULID
    | [a-z]{1,12}_(?=[^/]*\d)[A-Za-z0-9_]{6,}               # cus_9s6XKzkNRiz8i3
    | (?=[^/]*\d)(?=[^/]*[A-Za-z])[A-Za-z0-9_\-=]{20,}      # opaque token
    | [A-Z]{2,10}-\d+                                       # ticket key
    | \d{4}-\d{2}-\d{2}(?:T[\d:.Z+\-]+)?                    # date
    | [^/@]+@[^/@]+                                         # mail address
    | \{[^/]*\} | :[a-zA-Z_]\w* | <[^/]*>                   # already a placeholder
    """,
    re.VERBOSE,
)


def endpoint(method: str, *, url: str = "", host: str = "", path: str = "", template: str = "") -> str:
    """Return `METHOD host /path` with ids as `{id}`, or '' when neither host nor path is known.

    The query and the user part of a URL are dropped: they carry content and secrets. A `template` that the
    sender knows wins over the path of the URL.
    """
    if url:
        try:
            parts = urlsplit(url)
            host = host or (parts.hostname or "")
            path = path or parts.path
        except ValueError:
            pass
    host = host.strip()
    path = (template or path).partition("?")[0].partition("#")[0]
    if not host and not path:
        return ""
    segments = ["{id}" if _ID.fullmatch(segment) else segment for segment in path.split("/") if segment]
    if len(segments) > SEGMENTS:
        segments = [*segments[:SEGMENTS], "{more}"]
    return f"{method.upper()[:16]} {host.lower()} /{'/'.join(segments)}"[:LIMIT]
