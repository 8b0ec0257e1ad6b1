"""Which kinds of remotes there are: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import parse_qsl, urlsplit

from data.remotes import Remote, troubles


@dataclass(frozen=True)
class Kind:
    """A kind of remote.

    Attributes:
        name: What people call it.
        module: Where its class is; imported when one is opened.
        form: What an address looks like.
        extra: What to install for it: `pip install 'warroom[extra]'`; "" if nothing.
    """

    name: str
    module: str
    form: str
    extra: str = ""


_STORE = "data.remotes.objects:Objects"
KINDS: dict[str, Kind] = {
    "dir": Kind("directory or USB stick", "data.remotes.directory:Directory", "dir:/path, or /path"),
    "s3": Kind("S3", _STORE, "s3://bucket/prefix", "s3"),
    "gs": Kind("Google Cloud Storage", _STORE, "gs://bucket/prefix", "s3"),
    "az": Kind("Azure Blob Storage", _STORE, "az://container/prefix", "s3"),
    "postgresql": Kind(
        "PostgreSQL", "data.remotes.postgres:Postgres", "postgresql://user@host/database", "postgres"
    ),
    "nats": Kind("NATS JetStream", "data.remotes.nats:Nats", "nats://host:4222/stream", "nats"),
    "tls": Kind("NATS JetStream over TLS", "data.remotes.nats:Nats", "tls://host:4222/stream", "nats"),
    "https": Kind("HTTPS", "data.remotes.https:Https", "https://host/path"),
    "http": Kind("HTTP on this machine", "data.remotes.https:Https", "http://127.0.0.1:port/path"),
}
"""By the scheme of the address."""

_QUERY = {"host", "port", "sslmode", "sslrootcert", "sslcert", "target_session_attrs"}


def open_remote(url: str, options: Mapping[str, str] | None = None) -> Remote:
    """Make a remote from its address; nothing is reached yet.

    Args:
        url: See `KINDS`. It goes on the record, so it must hold no secret.
        options: What the kind needs besides, such as credentials. They stay in the configuration.

    Raises:
        RemoteTrouble: The address or an option is wrong, or a library is missing.
    """
    options = dict(options or {})
    scheme = "dir" if url.startswith("/") else url.partition(":")[0]
    kind = KINDS.get(scheme)
    if kind is None or not url.isprintable() or (" " in url and scheme != "dir"):
        forms = ", ".join(each.form for each in KINDS.values())
        raise troubles.misconfigured(_shown(url), "it is no address of a remote", f"Known are: {forms}.")
    if scheme != "dir":
        _public(url, scheme)
    module, _, name = kind.module.partition(":")
    opened: Remote = getattr(import_module(module), name).open(url, options)
    return opened


def _public(url: str, scheme: str) -> None:
    """Refuse an address that holds a secret, or may: it is written on the record."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise troubles.misconfigured(_shown(url), "it cannot be read", "Correct the address.") from None
    query = {key for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
    user = parts.username is not None and scheme != "postgresql"
    if (
        parts.password is not None
        or user
        or parts.fragment
        or query - (_QUERY if scheme == "postgresql" else set())
    ):
        raise troubles.misconfigured(
            _shown(url),
            "its address holds more than a place, perhaps a secret",
            "Put credentials into the options of the remote, in the configuration file, and leave the address bare.",
        )
    if not parts.netloc and scheme != "postgresql":
        raise troubles.misconfigured(_shown(url), "it names no place", f"It looks like {KINDS[scheme].form}.")


def _shown(url: str) -> str:
    """An address that may hold secrets or worse, for a message."""
    return troubles.reason(ValueError(url)).partition("#")[0][:80]
