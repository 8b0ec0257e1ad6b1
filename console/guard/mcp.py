"""A guard before an MCP server on standard input and output: `tools/call` passes only under a lease.

    python -m console.guard.mcp --url http://127.0.0.1:4320 --agent refunds --key-file key.pub -- server --its --options

It stands where the client would start the server. Everything else of the protocol passes; a call that may not be made
is answered with an error and never reaches the server, and so is whatever cannot be read here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from console.guard.guard import Guard, Halted

HALTED = -32003
UNREADABLE = -32700
LINE = 16 * 2**20
"""Bytes of one message."""


def refusal(guard: Guard, message: Any, prefix: str = "") -> dict[str, Any] | None:
    """Return the error with which a message is answered, or None if it may pass.

    Args:
        guard: whose leave it needs.
        message: one JSON-RPC message.
        prefix: stands before the name of a tool where the warden knows it as `server/tool`.
    """
    if not isinstance(message, dict):
        return _error(None, UNREADABLE, "not a JSON-RPC message")
    if message.get("method") != "tools/call":
        return None
    asked, parameters = message.get("id"), message.get("params")
    name = parameters.get("name") if isinstance(parameters, dict) else None
    if not isinstance(name, str) or not name:
        return _error(asked, UNREADABLE, "tools/call names no tool")
    try:
        guard.check(prefix + name)
    except Halted as halted:
        return _error(asked, HALTED, f"halted: {halted}", {"epoch": halted.epoch})
    return None


def passes(guard: Guard, line: bytes, prefix: str = "") -> tuple[bytes, bytes]:
    """Divide what a client sent in one line into what the server gets and what the client is answered; b"" = nothing.

    What passes is written anew: the server reads what was judged here, and no second key of the same name.
    """
    try:
        said = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return b"", _line(_error(None, UNREADABLE, "not JSON"))
    many = said if isinstance(said, list) else [said]
    answers = [(each, refusal(guard, each, prefix)) for each in many]
    passed = [each for each, answer in answers if answer is None]
    # A notification gets no answer, not even this one.
    refused = [
        answer for each, answer in answers if answer and not (isinstance(each, dict) and "id" not in each)
    ]
    if isinstance(said, list):
        return _line(passed) if passed else b"", _line(refused) if refused else b""
    return _line(passed[0]) if passed else b"", _line(refused[0]) if refused else b""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a server behind a guard. Returns the exit code of the server."""
    parser = argparse.ArgumentParser(prog="python -m console.guard.mcp", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--url", required=True, help="the warden, as in http://127.0.0.1:4320")
    add("--agent", required=True, help="for whom the server acts")
    add("--key-file", required=True, type=Path, help="file with the warden's public key (warroom warden key)")
    add("--token-file", type=Path, help="file with the guards' token, where the warden asks for one")
    add("--tool", action="append", default=[], help="a tool to ask leave for from the start; repeatable")
    add("--prefix", default="", help="stands before a tool's name in the warden's lists, as in crm/")
    add("command", nargs="+", help="-- and the server's command line")
    given = parser.parse_args(argv)
    token = given.token_file.read_text().strip() if given.token_file else ""
    tools = [given.prefix + tool for tool in given.tool]
    guard = Guard(
        given.url, given.agent, given.key_file.read_text().strip(), tools=tools, token=token
    ).start()
    server = subprocess.Popen(given.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if server.stdin is None or server.stdout is None:
        raise OSError("the server has no standard input and output")
    writing = threading.Lock()
    # The server decides when it is over: it sees the end of its input when ours ends.
    reading = threading.Thread(
        target=_forward, args=(guard, server.stdin, writing, given.prefix), daemon=True
    )
    reading.start()
    try:
        while line := server.stdout.readline(LINE):
            _write(line, writing)
    except (BrokenPipeError, KeyboardInterrupt):
        server.terminate()  # the client has gone
    guard.close()
    return server.wait()


def _forward(guard: Guard, server: IO[bytes], writing: threading.Lock, prefix: str) -> None:
    with suppress(BrokenPipeError), server:
        while line := sys.stdin.buffer.readline(LINE):
            onward, answer = passes(guard, line, prefix)
            if onward:
                server.write(onward)
                server.flush()
            if answer:
                _write(answer, writing)


def _write(line: bytes, writing: threading.Lock) -> None:
    with writing:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _error(asked: Any, code: int, message: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": asked if isinstance(asked, (str, int)) else None, "error": error}


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


if __name__ == "__main__":
    sys.exit(main())
