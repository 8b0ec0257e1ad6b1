"""The senders: each takes one letter to one service, and says honestly what became of it.

What went wrong is told apart by one question: may it be done again? `retry`: it was not taken, or a repeat is
harmless; `refused`: a repeat would be refused again; `unknown`: it may have gone out, and a repeat may be a second one.
No token, and no address that holds one, gets into a reason.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from console import secret
from console.comms import formats
from console.comms.formats import Letter, encoded
from console.evidence.redaction import Redaction
from console.refusal import Refused

if TYPE_CHECKING:
    from console.config import Sender as Setting

PAGERDUTY = "https://events.pagerduty.com"
STATUSPAGE = "https://api.statuspage.io"
MOST = 1 << 20
"""Bytes of an answer that are read: a list of incidents is long, and more is no answer."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Outcome(NamedTuple):
    """What became of one request.

    Attributes:
        reference: what the incident goes by there.
        after: seconds for which the service asks to be left alone.
    """

    state: Literal["sent", "retry", "refused", "unknown"]
    reason: str = ""
    reference: str = ""
    after: float = 0.0


class Sender(Protocol):
    """A place to which messages go."""

    harmless: bool
    """Whether the same letter, sent twice, counts once."""
    looks: bool
    """Whether `find` can tell what is there."""

    def parts(self, letter: Letter) -> int:
        """In how many requests a letter goes."""

    async def send(self, letter: Letter, part: int) -> Outcome:
        """Send one part; never raises for what the other side does."""

    async def find(self, letter: Letter) -> Outcome | None:
        """Look whether a letter is there already: `sent`, or `retry` if it is not. None: it could not be told."""

    async def probe(self) -> str:
        """See whether it could be reached, without an effect. Returns what was found, in one sentence."""


def make(setting: Setting) -> Sender:
    """Return the sender that a section of the configuration describes.

    Raises:
        Refused: a setting or a secret is missing; the sentence holds no secret.
    """
    match setting.type:
        case "file":
            return _File(setting)
        case "pagerduty":
            return _PagerDuty(setting)
        case "slack":
            return _Slack(setting)
        case "statuspage":
            return _Statuspage(setting)
        case "cachet":
            return _Cachet(setting)
        case _:
            return _Webhook(setting)


def token(setting: Setting) -> str:
    """Return the secret of a sender, from the environment or from a file that only its owner reads.

    Raises:
        Refused: there is none, or others can read it.
    """
    where = f"sender {setting.name}"
    if setting.token_env:
        return secret.of_environment(setting.token_env, where, os.environ)
    if not setting.token_file:
        raise Refused(f"The {where} has no secret.", "Name its variable: token_env, or its file: token_file.")
    return secret.of_file(Path(setting.token_file).expanduser(), where)


class Answer(NamedTuple):
    """What a service answered. `status` 0: it did not, and `sent` says whether it may have got the request."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    sent: bool = True
    trouble: str = ""

    @property
    def value(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class _Http:
    """What all services have in common. `secret` and the address are never shown."""

    harmless = False
    looks = False

    def __init__(self, setting: Setting, url: str, secret: str) -> None:
        self.setting, self.secret = setting, secret
        self.url = _checked(setting.name, url.rstrip("/"))
        self.seconds = setting.timeout / 1_000_000_000

    def parts(self, letter: Letter) -> int:
        return 1

    async def find(self, letter: Letter) -> Outcome | None:
        return None

    async def probe(self) -> str:
        parts = urlsplit(self.url)
        answer = await self.ask("HEAD", f"{parts.scheme}://{parts.netloc}/")
        if answer.status:
            return f"{parts.hostname} answers ({answer.status}); whether it takes the secret shows with a message"
        raise Refused(f"{parts.hostname} does not answer: {answer.trouble}.", "Check url and network.")

    async def ask(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make one request within the time of this sender, whatever the other side does."""
        import httpx  # HTTP is not on the path of those who only read

        status, sent = 0, False
        try:
            async with (
                asyncio.timeout(self.seconds),
                httpx.AsyncClient(follow_redirects=False, timeout=self.seconds) as client,
                client.stream(
                    method, url, content=body or None, headers={"User-Agent": "warroom", **(headers or {})}
                ) as response,
            ):
                status, sent = response.status_code, True
                taken = b""
                async for chunk in response.aiter_bytes():
                    taken += chunk
                    if len(taken) > MOST:
                        return Answer(0, trouble="the answer has no end")
                return Answer(status, {k.lower(): v for k, v in response.headers.items()}, taken)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError):
            return Answer(0, sent=False, trouble="there is no connection")
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError):
            return Answer(0, sent=False, trouble="the address cannot be used")
        except (TimeoutError, httpx.TimeoutException):
            return Answer(0, trouble=f"there was no whole answer within {self.seconds:g} s")
        except (httpx.HTTPError, ValueError, OSError) as error:
            # Only its kind: the text of an error may hold the address.
            what = "the answer broke off" if sent else "the connection broke off"
            return Answer(0, trouble=f"{what} ({type(error).__name__})")

    def judge(self, answer: Answer, took: bool, reference: str = "") -> Outcome:
        """Say what an answer means. `took`: it is what the service says when it took something."""
        if not answer.status:
            if not answer.sent:
                return Outcome("retry", f"Not sent: {answer.trouble}.")
            state: Literal["retry", "unknown"] = "retry" if self.harmless else "unknown"
            return Outcome(state, f"Sent, but {answer.trouble}.")
        if took:
            return Outcome("sent", reference=reference)
        after = retry_after(answer.headers.get("retry-after", ""))
        said = self._said(answer)
        if answer.status == 429:
            return Outcome("retry", f"It asks to wait ({answer.status}).", after=after)
        if answer.status >= 500:
            # A gateway that gives up says nothing of what the service behind it did; one that names a time does.
            again = self.harmless or (answer.status == 503 and after > 0)
            return Outcome(
                "retry" if again else "unknown", f"It answered {answer.status}{said}.", after=after
            )
        if 200 <= answer.status < 300:
            again = self.harmless
            return Outcome(
                "retry" if again else "unknown",
                f"It answered {answer.status} and nothing that makes sense{said}.",
            )
        if answer.status in (408, 425):
            return Outcome(
                "retry" if self.harmless else "unknown", f"It answered {answer.status}{said}.", after=after
            )
        return Outcome("refused", f"It refused with {answer.status}{said}.")

    def _said(self, answer: Answer) -> str:
        text = answer.body.decode("utf-8", "replace")
        # Also a part of it: of an address that is a secret a service may repeat the end.
        for each in (self.secret, *(part for part in self.secret.split("/") if len(part) >= 8)):
            text = text.replace(each, "…")
        text = " ".join(Redaction("secrets").mask(text).split())
        text = "".join(char for char in text if char.isprintable())[:160]
        return f": {text}" if text else ""


def _checked(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_fits = urlsplit(""), False
    host = parts.hostname or ""
    if not host or not port_fits or parts.username is not None or any(c <= " " for c in url):
        raise Refused(f"The address of sender {name} is none.", "As in https://hooks.example.com/incident.")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise Refused(
            f"Sender {name} would send its secret in the clear.", "Its address begins with https://."
        )
    return url


def retry_after(text: str) -> float:
    """Seconds that a Retry-After asks for: a number or a date; 0 for anything else."""
    text = text.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


class _PagerDuty(_Http):
    """PagerDuty Events API v2. The same dedup_key is the same alert: a repeat is harmless."""

    harmless = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, setting.url or PAGERDUTY, token(setting))

    async def send(self, letter: Letter, part: int) -> Outcome:
        event = formats.pagerduty(letter, self.secret)
        body = encoded(event)
        if len(body) > formats.PAGERDUTY_BYTES:
            return Outcome("refused", f"{len(body):,} bytes are more than PagerDuty takes.")
        answer = await self.ask("POST", f"{self.url}/v2/enqueue", body, {"Content-Type": "application/json"})
        value = answer.value
        took = answer.status == 202 and isinstance(value, dict) and value.get("status") == "success"
        return self.judge(answer, took, event["dedup_key"])


class _Slack(_Http):
    """A Slack incoming webhook, whose address is the secret. Nothing tells there whether a message arrived."""

    def __init__(self, setting: Setting) -> None:
        secret = token(setting)
        super().__init__(setting, secret, secret)

    def parts(self, letter: Letter) -> int:
        return len(formats.slack(letter))

    async def send(self, letter: Letter, part: int) -> Outcome:
        body = encoded(formats.slack(letter)[part])
        answer = await self.ask("POST", self.url, body, {"Content-Type": "application/json"})
        return self.judge(answer, answer.status == 200 and answer.body.strip() == b"ok")


class _Webhook(_Http):
    """Anybody's own receiver: signed, with a timestamp, and an Idempotency-Key that makes a repeat harmless."""

    harmless = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, setting.url, token(setting))

    async def send(self, letter: Letter, part: int) -> Outcome:
        body, now = encoded(formats.plain(letter)), int(time.time())
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": letter.key,
            "X-Warroom-Timestamp": str(now),
            "X-Warroom-Signature": formats.signature(self.secret, now, body),
        }
        answer = await self.ask("POST", self.url, body, headers)
        return self.judge(answer, 200 <= answer.status < 300)


class _Statuspage(_Http):
    """Atlassian Statuspage. Our key in the metadata of the incident tells whether an update is there."""

    looks = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, setting.url or STATUSPAGE, token(setting))
        if not setting.page:
            raise Refused(f"Sender {setting.name} names no page.", "Set page to the id of the status page.")
        self._incidents = f"{self.url}/v1/pages/{setting.page}/incidents"
        self._headers = {"Authorization": f"OAuth {self.secret}", "Content-Type": "application/json"}

    async def send(self, letter: Letter, part: int) -> Outcome:
        body = encoded(formats.statuspage(letter, self.setting.components))
        url = f"{self._incidents}/{letter.reference}" if letter.reference else self._incidents
        answer = await self.ask("PATCH" if letter.reference else "POST", url, body, self._headers)
        found = _id(answer.value)
        return self.judge(answer, answer.status in (200, 201) and bool(found), found)

    async def find(self, letter: Letter) -> Outcome | None:
        answer = await self.ask("GET", self._incidents, headers=self._headers)
        value = answer.value
        if answer.status != 200 or not isinstance(value, list):
            return None
        for each in value:
            data = each.get("metadata") if isinstance(each, dict) else None
            ours = data.get("warroom") if isinstance(data, dict) else None
            if isinstance(ours, dict) and ours.get("message") == letter.key:
                return Outcome("sent", "It was found there.", _id(each))
        return Outcome("retry", "It is not there.")


class _Cachet(_Http):
    """Cachet 3. It keeps no metadata: an update of ours is known by its words."""

    looks = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, setting.url, token(setting))
        self._incidents = f"{self.url}/api/incidents"
        self._headers = {
            "Authorization": f"Bearer {self.secret}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    async def send(self, letter: Letter, part: int) -> Outcome:
        url = f"{self._incidents}/{letter.reference}/updates" if letter.reference else self._incidents
        answer = await self.ask("POST", url, encoded(formats.cachet(letter)), self._headers)
        found = letter.reference or _id(_data(answer.value))
        took = answer.status in (200, 201) and bool(_id(_data(answer.value)))
        return self.judge(answer, took, found)

    async def find(self, letter: Letter) -> Outcome | None:
        url = f"{self._incidents}/{letter.reference}/updates" if letter.reference else self._incidents
        answer = await self.ask("GET", url, headers=self._headers)
        listed = _data(answer.value)
        if answer.status != 200 or not isinstance(listed, list):
            return None
        for each in listed:
            fields = each.get("attributes", each) if isinstance(each, dict) else None
            message = fields.get("message") if isinstance(fields, dict) else None
            if isinstance(message, str) and message.strip() == letter.body.strip():
                return Outcome("sent", "It was found there.", letter.reference or _id(each))
        return Outcome("retry", "It is not there.")


def _data(value: Any) -> Any:
    return value["data"] if isinstance(value, dict) and "data" in value else value


def _id(value: Any) -> str:
    """The id of an incident, if it is one that can stand in an address."""
    found = value.get("id") if isinstance(value, dict) else None
    text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    return text if _ID.fullmatch(text) else ""


class _File:
    """A file to which each message is added as one line of JSON, on the disk before it counts as sent.

    What another program takes from there is its own affair. A letter whose id stands in the file is not added again.
    """

    harmless = True
    looks = False

    def __init__(self, setting: Setting) -> None:
        if not setting.path:
            raise Refused(
                f"Sender {setting.name} names no file.", "Set path, as in ~/warroom/messages.jsonl."
            )
        self.path = Path(setting.path).expanduser()
        if not self.path.is_absolute():
            raise Refused(
                f"The path of sender {setting.name} depends on where you are.", "Name its whole path."
            )

    def parts(self, letter: Letter) -> int:
        return 1

    async def find(self, letter: Letter) -> Outcome | None:
        return None  # sending looks first

    async def send(self, letter: Letter, part: int) -> Outcome:
        try:
            return await asyncio.to_thread(self._add, letter)
        except OSError as error:
            return Outcome("retry", f"The file does not take it ({error.strerror}).")

    async def probe(self) -> str:
        try:
            os.close(await asyncio.to_thread(self._open))
        except OSError as error:
            raise Refused(f"{self.path} cannot be written ({error.strerror}).", "Check its folder.") from None
        return f"{self.path} can be written"

    def _open(self) -> int:
        # Without blocking: a pipe that nobody reads would hold us up for ever.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(self.path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(22, "it is no ordinary file")
        return handle

    def _add(self, letter: Letter) -> Outcome:
        with os.fdopen(self._open(), "r+b", buffering=1 << 16) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ended = True
            for line in file:
                ended = line.endswith(b"\n")
                # Cheap first: the lines of other messages are not decoded.
                if letter.key.encode() in line and ended and _same(line, letter.key):
                    os.fsync(file.fileno())
                    return Outcome("sent", "It stands there already.", str(self.path)[:512])
            line = encoded(formats.plain(letter)) + b"\n"
            # A line that a crash cut off is ended first, and stays as it is.
            whole = line if ended else b"\n" + line
            if os.write(file.fileno(), whole) != len(whole):
                raise OSError(28, "it is full")
            os.fsync(file.fileno())
        return Outcome("sent", reference=str(self.path)[:512])


def _same(line: bytes, key: str) -> bool:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("id") == key
