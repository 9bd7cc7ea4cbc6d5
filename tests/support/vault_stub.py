"""A stand-in for Vault over HTTP: the Transit engine and token self-renewal, as Vault's API documents them.

Source: Vault HTTP API, "Transit secrets engine", "Token auth method", "/sys/health" status codes for a sealed server.
"""

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

JSON = dict[str, Any]


@dataclass
class VaultState:
    """`policies`: token -> allowed operations of the form "encrypt/key"; "*" allows everything."""

    policies: dict[str, set[str]] = field(default_factory=lambda: {"root": {"*"}})
    keys: dict[str, list[bytes]] = field(default_factory=dict)
    min_decryption_version: int = 1
    sealed: bool = False
    broken: bool = False
    ttl_s: int = 3600
    renewable: bool = True
    calls: list[str] = field(default_factory=list)

    def rotate(self, key: str) -> None:
        self.keys.setdefault(key, []).append(Fernet.generate_key())

    def count(self, operation: str) -> int:
        return sum(1 for call in self.calls if call == operation)


class Refusal(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status)
        self.status = status
        self.errors = list(errors)


class VaultStub:
    """`with VaultStub() as vault: vault.url, vault.state`."""

    def __init__(self, *keys: str) -> None:
        self.state = VaultState()
        for key in keys:
            self.state.rotate(key)
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.answer(self, {})

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                stub.answer(self, json.loads(self.rfile.read(length) or b"{}"))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> "VaultStub":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, request: BaseHTTPRequestHandler, body: JSON) -> None:
        try:
            status, data = 200, self._route(request, body)
        except Refusal as refusal:
            status, data = refusal.status, {"errors": refusal.errors}
        text = json.dumps(data).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def _route(self, request: BaseHTTPRequestHandler, body: JSON) -> JSON:
        if self.state.sealed:
            raise Refusal(503, "Vault is sealed")
        if self.state.broken:
            raise Refusal(500, "internal error")
        token = request.headers.get("X-Vault-Token", "")
        if token not in self.state.policies:
            raise Refusal(403, "permission denied")
        path = request.path.removeprefix("/v1/")
        if path == "auth/token/lookup-self":
            self.state.calls.append("lookup")
            return {"data": {"ttl": self.state.ttl_s, "renewable": self.state.renewable}}
        if path == "auth/token/renew-self":
            self.state.calls.append("renew")
            return {"auth": {"lease_duration": self.state.ttl_s, "renewable": self.state.renewable}}
        mount, operation, key = (*path.split("/"), "", "")[:3]
        if mount != "transit" or key not in self.state.keys:
            raise Refusal(404)
        allowed = self.state.policies[token]
        if "*" not in allowed and f"{operation}/{key}" not in allowed:
            raise Refusal(403, "1 error occurred:\n\t* permission denied\n\n")
        self.state.calls.append(operation)
        return {"data": self._transit(operation, key, body)}

    def _transit(self, operation: str, key: str, body: JSON) -> JSON:
        versions = self.state.keys[key]
        newest = len(versions)
        if operation == "keys":
            return {"latest_version": newest, "min_decryption_version": self.state.min_decryption_version}
        if operation == "encrypt":
            return {"ciphertext": self._seal(key, _decoded(body.get("plaintext"))), "key_version": newest}
        if operation == "decrypt":
            return {"plaintext": base64.b64encode(self._open(key, body)).decode()}
        if operation == "rewrap":
            return {"ciphertext": self._seal(key, self._open(key, body)), "key_version": newest}
        raise Refusal(404)

    def _seal(self, key: str, plaintext: bytes) -> str:
        versions = self.state.keys[key]
        return f"vault:v{len(versions)}:{Fernet(versions[-1]).encrypt(plaintext).decode()}"

    def _open(self, key: str, body: JSON) -> bytes:
        scheme, version, sealed = (*str(body.get("ciphertext", "")).split(":", 2), "", "")[:3]
        number = int(version[1:]) if version[1:].isdigit() else 0
        if scheme != "vault" or not 1 <= number <= len(self.state.keys[key]):
            raise Refusal(400, "invalid ciphertext: no prefix")
        if number < self.state.min_decryption_version:
            raise Refusal(400, "ciphertext or signature version is disallowed by policy (too old)")
        try:
            return Fernet(self.state.keys[key][number - 1]).decrypt(sealed.encode())
        except InvalidToken:
            raise Refusal(400, "invalid ciphertext: could not decrypt") from None


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        raise Refusal(400, "failed to base64-decode plaintext") from None
