"""`python -m tests.remotes.moto_server`: an S3 server in memory. With `--no-conditional` it refuses `If-None-Match`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from threading import Thread
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

REFUSAL = b"<Error><Code>NotImplemented</Code><Message>A header implies what is not there.</Message></Error>"


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main(flags: list[str]) -> None:
    """Serve until killed."""
    module: Any = import_module("moto.server")
    moto = module.DomainDispatcherApplication(module.create_backend_app)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "--no-conditional" in flags and "HTTP_IF_NONE_MATCH" in environ:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("501 Not Implemented", [("Content-Type", "application/xml")])
            return [REFUSAL]
        answer: Iterable[bytes] = moto(environ, start)
        return answer

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    boto3: Any = import_module("boto3")
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="evidence")
    if "--versions" in flags:
        client.put_bucket_versioning(Bucket="evidence", VersioningConfiguration={"Status": "Enabled"})
    print(f"listening on {address}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
