"""A small HTTPS service for a team: `python -m data.remotes.server DIRECTORY`. It stores what it is given, once.

What it speaks stands in `https.py`. It keeps objects in a directory through the directory adapter, so each is on the disk
before it is answered. Nobody can replace or remove anything through it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import ssl
import stat
import sys
from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import compare_digest
from itertools import islice
from pathlib import Path

from aiohttp import web

from data.durable import publish, write_temporary
from data.remotes import Absent, RemoteTrouble, limit, proper
from data.remotes.directory import Directory
from data.remotes.https import LOOPBACK

PAGE = 1000
AT_ONCE = 4
"""Bodies in memory at a time: each may have as many bytes as a blob."""
BODY_SECONDS = 600
MIN_TOKEN = 16


def application(store: Directory, token: str) -> web.Application:
    """The service, without a socket.

    Args:
        store: Where objects go.
        token: What clients send as bearer token.
    """
    room = asyncio.Semaphore(AT_ONCE)
    expected = sha256(f"Bearer {token}".encode()).digest()

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not compare_digest(sha256(given).digest(), expected):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        try:
            return await handler(request)
        except Absent:
            raise web.HTTPNotFound from None
        except RemoteTrouble as trouble:
            print(trouble, file=sys.stderr)
            if request.method == "PUT":
                raise web.HTTPInsufficientStorage(text=trouble.what) from None
            if trouble.passing:
                raise web.HTTPServiceUnavailable(text=trouble.what) from None
            # Below 500, since it is about this object: trying again does not help, and the others may be well.
            raise web.HTTPGone(text=trouble.what) from None

    async def create(request: web.Request) -> web.Response:
        name = _name(request)
        if request.headers.get("If-None-Match") != "*":
            raise web.HTTPPreconditionRequired(text="Objects are only created: send If-None-Match: *.")
        bound = limit(name)
        if (request.content_length or 0) > bound:
            raise web.HTTPRequestEntityTooLarge(bound, request.content_length or 0)
        async with room:
            data = bytearray()
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.content.iter_chunked(256 * 1024):
                    data += chunk
                    if len(data) > bound:
                        raise web.HTTPRequestEntityTooLarge(bound, len(data))
            created = await asyncio.to_thread(store.put, name, bytes(data))
        return web.Response(status=201 if created else 412)

    async def read(request: web.Request) -> web.Response:
        name = _name(request)
        async with room:
            return web.Response(body=await asyncio.to_thread(store.get, name))

    async def names(request: web.Request) -> web.Response:
        if "list" not in request.query:
            raise web.HTTPNotFound
        prefix, after = request.query["list"], request.query.get("after", "")
        page = await asyncio.to_thread(lambda: list(islice(store.list(prefix, after), PAGE)))
        return web.Response(text="".join(f"{name}\n" for name in page))

    app = web.Application(middlewares=[guard], client_max_size=0)
    app.router.add_get("/", names)
    app.router.add_put("/{name:.+}", create)
    app.router.add_get("/{name:.+}", read)
    return app


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not proper(name):
        raise web.HTTPBadRequest(text="An object cannot be called that.")
    return name


def read_token(path: Path) -> str:
    """The token in a file that only its owner can read; made if there is none.

    Raises:
        OSError: If it cannot be read or made.
        ValueError: If others can read it, or it is too short.
    """
    if not path.exists():
        publish(write_temporary(path.parent, f"{secrets.token_urlsafe(32)}\n".encode()), path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ValueError(f"{path} can be read by others; run: chmod 600 {path}")
    token = path.read_text().strip()
    if len(token) < MIN_TOKEN:
        raise ValueError(f"the token in {path} has fewer than {MIN_TOKEN} characters")
    return token


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data.remotes.server", description=__doc__)
    parser.add_argument("directory", type=Path, help="where objects go; must exist")
    parser.add_argument("--token-file", type=Path, help="made if there is none (default: DIRECTORY/.token)")
    parser.add_argument("--host", default="127.0.0.1", help="anything else needs --cert")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--cert", type=Path, help="certificate chain, PEM")
    parser.add_argument("--key", type=Path, help="its key, PEM")
    parser.add_argument(
        "--client-ca", type=Path, help="clients must show a certificate of this authority too"
    )
    return parser


async def _serve(options: argparse.Namespace) -> None:
    context = None
    if options.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.client_ca)
        context.load_cert_chain(options.cert, options.key)
        if options.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
    directory = options.directory.absolute()
    token_file = options.token_file or directory / ".token"
    app = application(Directory(directory), read_token(token_file))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    print(f"listening on http{'s' if context else ''}://{options.host}:{port}", flush=True)
    print(f"the token is in {token_file}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main(argv: list[str] | None = None) -> int:
    """Serve until interrupted. Returns the exit code."""
    options = _arguments().parse_args(argv)
    if options.host not in LOOPBACK and not options.cert:
        print("Beyond this machine the service needs TLS: give --cert and --key.", file=sys.stderr)
        return 2
    if not options.directory.is_dir() or not os.access(options.directory, os.W_OK):
        print(
            f"{options.directory} is no directory that this user can write to; make it first.",
            file=sys.stderr,
        )
        return 2
    try:
        asyncio.run(_serve(options))
    except (OSError, ValueError) as error:
        print(f"The service cannot start: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
