"""A gateway on a loopback port: agents that it stops and lets go on, and a queue of actions that wait."""

from __future__ import annotations

import http.server
import json
import threading


class Gateway:
    """`POST /stop/NAME`, `POST /run/NAME`, `GET /state/NAME`; `GET /held`, `POST /held/ID/release` and `/drop`.

    Attributes:
        stopped: names of what stands still.
        lies: names of what says that it stops, and goes on.
        stuck: names of what does not run again.
        held: what waits, by id.
        paid: ids that were released, in their order.
        thrown: ids that were dropped.
        silent: whether the queue answers nothing but 503.
        loses: ids whose decision is carried out before the connection breaks off.
    """

    def __init__(self) -> None:
        self.stopped: set[str] = set()
        self.lies: set[str] = set()
        self.stuck: set[str] = set()
        self.held: dict[str, dict[str, object]] = {}
        self.paid: list[str] = []
        self.thrown: list[str] = []
        self.loses: set[str] = set()
        self.silent = False
        self.asked: list[str] = []
        self._keys: set[str] = set()
        this = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _take(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                this.asked.append(f"{self.command} {self.path}")
                status, value = this.answer(self.command, self.path, self.headers.get("Idempotency-Key", ""))
                if status == 0:
                    self.close_connection = True
                    return
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _take

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, key: str) -> tuple[int, object]:
        """Do what is asked. Status 0: no answer."""
        parts = path.strip("/").split("/")
        match (method, *parts):
            case ("POST", "stop", name):
                if name not in self.lies:
                    self.stopped.add(name)
                return 200, {"ok": True}
            case ("POST", "run", name):
                if name not in self.stuck:
                    self.stopped.discard(name)
                return 200, {"ok": True}
            case ("GET", "state", name):
                return 200, {"state": "halted" if name in self.stopped else "running"}
            case ("GET", "held"):
                return (503, {}) if self.silent else (200, {"items": list(self.held.values())})
            case ("POST", "held", id, ("release" | "drop") as word):
                if key not in self._keys:
                    if self.held.pop(id, None) is None:
                        return 404, {"error": f"there is no {id}"}
                    self._keys.add(key)
                    (self.paid if word == "release" else self.thrown).append(id)
                if id in self.loses:
                    self.loses.discard(id)
                    return 0, {}
                return 200, {"ok": True}
        return 404, {}

    def options(self, *, indent: str = "points.options") -> str:
        """The options of an `http` actuator for the agents, as TOML."""
        return f"""
[{indent}.stop]
url = "{self.url}/stop/{{target}}"
[{indent}.restore]
url = "{self.url}/run/{{target}}"
[{indent}.probe]
url = "{self.url}/state/{{target}}"
stopped = {{ field = "state", equals = "halted" }}
running = {{ field = "state", equals = "running" }}
"""
