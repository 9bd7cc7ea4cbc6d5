"""An HTTP server that answers as told, for the REST client: statuses, refusals, silence, broken answers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` None hangs up without a word."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str


class LocalRest:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []

    def say(self, path: str, result: Any = None, *, code: int = 0, message: str = "OK", **headers: str) -> None:
        body = {"retCode": code, "retMsg": message, "result": result or {}, "retExtInfo": {}, "time": 1_700_000_000_000}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = Answer(json.dumps(body), headers=named)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rest: LocalRest

    def log_message(self, *args: object) -> None:
        pass

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.rest.asked.append(Asked(self.command, path, query, headers, body))
        answer = self.rest.answers[path]
        if answer.body is None:
            self.close_connection = True
            self.connection.close()
            return
        content = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = _serve  # noqa: N815 - the base class's naming
    do_POST = _serve  # noqa: N815


@contextmanager
def local_rest() -> Iterator[LocalRest]:
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    rest = LocalRest(server.server_port)
    handler.rest = rest  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield rest
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
