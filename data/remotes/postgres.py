"""A PostgreSQL database as a remote: one table of objects that only grows; see `prepare.sql`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

from data.remotes import MAX_NAMES, Findings, RemoteTrouble, limit, pacing, proper, troubles
from data.remotes.pool import Pool, limited
from data.remotes.probing import probe

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

T = TypeVar("T")

PAGE = 10_000

_INSERT = "INSERT INTO warroom_objects (name, bytes) VALUES (%s, %b) ON CONFLICT DO NOTHING"
# A server may be told to answer before the commit is on the disk; for us it has to be.
_SETUP = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)
_SETTINGS = (
    "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),"
    " pg_is_in_recovery(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,"
    " has_table_privilege('warroom_objects', 'UPDATE') OR has_table_privilege('warroom_objects', 'DELETE')"
    " OR has_table_privilege('warroom_objects', 'TRUNCATE'),"
    " EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'warroom_objects'::regclass AND tgname = 'warroom_refuse'"
    " AND tgenabled IN ('O', 'A'))"
)


def prepare_sql() -> str:
    """What the owner of the database runs once: table, triggers, view."""
    return (files("data.remotes") / "prepare.sql").read_text()


class Postgres:
    """A PostgreSQL database.

    Args:
        url: `postgresql://user@host:port/database`, without a password.
        options: `password` and `timeout`. What is not given comes from the usual environment and files of libpq.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        try:
            import psycopg
        except ImportError:
            raise troubles.not_installed("PostgreSQL", "postgres") from None
        self._psycopg = psycopg
        self.url = url
        if unknown := sorted(set(options) - {"password", "timeout"}):
            raise troubles.misconfigured(
                url,
                f"it has no option {unknown[0]}",
                "Use password or timeout; the rest goes into the address.",
            )
        self._hidden = troubles.secrets(options)
        self._patience = pacing.seconds(url, options)
        self._pool = Pool(lambda: self._connect(options.get("password")))

    @classmethod
    def open(cls, url: str, options: Mapping[str, str]) -> Postgres:
        """Open a database by its address."""
        return cls(url, options)

    def prepare(self) -> None:
        """Create the table, its triggers and the view; needs the owner of the database."""
        self._ask(lambda cursor: cursor.execute(prepare_sql().encode(), prepare=False))

    def put(self, name: str, data: bytes) -> bool:
        """Create an object; durable when this returns, as far as the server is set up so."""
        if not proper(name):
            raise ValueError(f"{name!r} cannot be the name of an object")
        return self._ask(lambda cursor: cursor.execute(_INSERT, (name, data)).rowcount == 1, len(data))

    def get(self, name: str) -> bytes:
        """Read an object."""
        if not proper(name):
            raise ValueError(f"{name!r} cannot be the name of an object")
        bound = limit(name)

        def measure(cursor: Cursor[Any]) -> Any:
            cursor.execute("SELECT octet_length(bytes) FROM warroom_objects WHERE name = %s", (name,))
            return cursor.fetchone()

        def read(cursor: Cursor[Any]) -> Any:
            cursor.execute("SELECT bytes FROM warroom_objects WHERE name = %s", (name,), binary=True)
            return cursor.fetchone()

        # The size comes first: it decides whether, and for how long, we wait for the rest.
        measured = self._ask(measure)
        if measured is not None and measured[0] > bound:
            raise troubles.too_big(self.url, name, bound)
        row = self._ask(read, measured[0]) if measured is not None else None
        if row is None:
            raise troubles.absent(self.url, name)
        if len(row[0]) > bound:
            raise troubles.too_big(self.url, name, bound)
        return bytes(row[0])

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names in order, by pages, so that a long listing holds no transaction open."""
        count, at, end = 0, after, prefix + "~"  # "~" sorts after all that a name may hold

        def read(cursor: Cursor[Any]) -> Sequence[Any]:
            cursor.execute(
                "SELECT name FROM warroom_objects WHERE name > %s AND name >= %s AND name < %s"
                " ORDER BY name LIMIT %s",
                (at, prefix, end, PAGE),
            )
            return cursor.fetchall()

        while page := [str(row[0]) for row in self._ask(read)]:
            count += len(page)
            if count > MAX_NAMES or page[-1] <= at:
                raise troubles.too_many(self.url)
            yield from (name for name in page if name > at and name.startswith(prefix) and proper(name))
            at = page[-1]

    def probe(self) -> Findings:
        """Find out what the server does, how it is set up, and what this role could do."""
        sync, pages, commit, standby, _, may_change, guarded = self._settings()
        warnings = []
        if sync != "on" or pages != "on":
            warnings.append(
                "It runs with fsync or full_page_writes off: a power cut can destroy what was shared."
            )
        if standby:
            warnings.append(
                "It is a standby in recovery: it can be read, and nothing can be shared through it."
            )
        if not guarded:
            warnings.append("Its table lacks the trigger against changes; run prepare.sql as the owner.")
        if may_change:
            warnings.append("This role may change or delete rows; use one that may only SELECT and INSERT.")
        if standby:
            return Findings(
                "none", False, False, True, durable=f"fsync {sync}, in recovery", warnings=tuple(warnings)
            )
        return probe(
            self,
            clock=lambda: int(self._settings()[4]) * 1000,
            durable=f"fsync {sync}, full_page_writes {pages}, synchronous_commit {commit}",
            locked="rows cannot be changed or removed" if guarded and not may_change else "",
            warnings=tuple(warnings),
        )

    def close(self) -> None:
        """Let go of the connections that nobody uses."""
        self._pool.close()

    def _connect(self, password: str | None) -> Connection:
        connection = self._psycopg.connect(
            self.url,
            autocommit=True,
            connect_timeout=max(2, round(self._patience)),
            password=password,
            application_name="warroom",
        )
        try:
            with limited(connection, self._patience):
                connection.execute(_SETUP)
        except BaseException:
            connection.close()
            raise
        return connection

    def _settings(self) -> Any:
        return self._ask(lambda cursor: cursor.execute(_SETTINGS).fetchone())

    def _ask(self, request: Callable[[Cursor[Any]], T], size: int = 0) -> T:
        """Run one statement in a transaction of its own, on a connection that nobody else uses meanwhile."""
        allowed = self._patience + size / pacing.RATE
        try:
            with self._pool.lend() as connection, limited(connection, allowed):
                return request(connection.cursor())
        except TimeoutError:
            raise troubles.slow(self.url, allowed) from None
        except (self._psycopg.Error, OSError) as error:
            raise self._trouble(error) from None

    def _trouble(self, error: Exception) -> RemoteTrouble:
        errors = self._psycopg.errors
        why = troubles.reason(error, self._hidden)
        if isinstance(error, errors.UndefinedTable | errors.InvalidCatalogName):
            hint = "Let the owner of the database run prepare.sql on it: `python -m data.remotes.postgres` prints it."
            return troubles.denied(self.url, why, hint)
        passing = (self._psycopg.OperationalError, self._psycopg.InterfaceError, OSError)
        if isinstance(error, passing) and not isinstance(error, errors.InvalidPassword):
            return troubles.unreachable(self.url, why)
        return troubles.denied(self.url, why, "Check the role's password and its rights on warroom_objects.")


if __name__ == "__main__":
    print(prepare_sql(), end="")
