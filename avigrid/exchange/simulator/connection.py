"""One TCP connection: HTTP/1.1 by h11, sockets by the sans-I/O part of websockets. Hostile input ends a connection,
never the server.
"""

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import h11
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from avigrid.exchange.simulator.exchange import SOCKET_PATHS
from avigrid.exchange.simulator.messages import Drop, Reply, Request, encode, envelope
from avigrid.exchange.simulator.sessions import Session

if TYPE_CHECKING:
    from avigrid.exchange.simulator.server import SimulatorServer

log = logging.getLogger(__name__)
_wire_log = logging.getLogger("avigrid.exchange.simulator.websockets")
_wire_log.setLevel(logging.WARNING)

MAX_BODY = 1_048_576
MAX_HEAD = 65_536
MAX_UNSENT = 16_777_216
IDLE_S = 75.0
_REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found"}


class Connection(asyncio.Protocol):
    def __init__(self, server: "SimulatorServer") -> None:
        self._server = server
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._transport: asyncio.Transport | None = None
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._remote = ""
        self._heard_s = time.monotonic()
        self._is_hanging = False
        self._busy: asyncio.Task[None] | None = None
        self._socket: ServerProtocol | None = None
        self._session: Session | None = None
        self._fragments: list[bytes] = []

    # -- asyncio ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._remote = str(peer[0]) if peer else "local"
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._busy is not None:
            self._busy.cancel()
        if self._session is not None:
            self._server.exchange.leave(self._session)
            self._session = None

    def data_received(self, data: bytes) -> None:
        self._heard_s = time.monotonic()
        if self._socket is not None:
            self._socket_data(data)
        elif not self._is_hanging:
            try:
                self._http.receive_data(data)
                self._advance()
            except h11.RemoteProtocolError as error:
                self._refuse_bytes(error)

    def eof_received(self) -> bool:
        return False

    # -- HTTP -------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        while self._busy is None and self._socket is None and not self._is_hanging:
            event = self._http.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return
            if isinstance(event, h11.Request):
                self._request = event
                self._body.clear()
                if self._http.they_are_waiting_for_100_continue and self._transport is not None:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    self._transport.write(self._http.send(go_on) or b"")
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY:
                    self._too_large()
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._complete()
            else:
                self.abort()
                return

    def _complete(self) -> None:
        head = self._request
        assert head is not None
        if head.http_version not in (b"1.0", b"1.1"):
            self._send(Reply(400, b"400 Bad Request", content_type="text/plain"))
            return
        headers: dict[str, str] = {}
        for name, value in head.headers:
            headers[name.decode("latin-1")] = value.decode("utf-8", "replace")
        target = head.target.decode("utf-8", "replace")
        path, _, query = target.partition("?")
        if path.startswith(("http://", "https://")):
            path = "/" + path.split("/", 3)[3] if path.count("/") >= 3 else "/"
        if headers.get("upgrade", "").lower() == "websocket" and head.method == b"GET":
            self._upgrade(head, target)
            return
        if path.rstrip("/") in SOCKET_PATHS:
            self._send(Reply(400, b"Bad Request: a websocket handshake is expected", content_type="text/plain"))
            return
        request = Request(
            method=head.method.decode("latin-1"),
            path=path,
            query=query,
            body=bytes(self._body).decode("utf-8", "surrogateescape"),
            headers=headers,
            remote=self._remote,
        )
        self._busy = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            reply = await self._server.answer(request)
        except Exception:
            log.exception("no answer to %s %s", request.method, request.path)
            self._server.exchange.house.count("internal_errors")
            reply = Reply(
                200, encode(envelope(10016, "Server error.", {}, {}, self._server.exchange.house.reported_ms()))
            )
        if reply.delay_s > 0:
            await asyncio.sleep(reply.delay_s)
        self._busy = None
        if reply.drop is Drop.CLOSE:
            self.abort()
        elif reply.drop is Drop.HANG:
            self._is_hanging = True
        else:
            self._send(reply)
        self._server.flush()

    def _send(self, reply: Reply) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        keeps = self._http.our_state is h11.SEND_RESPONSE
        if not keeps and self._http.our_state is not h11.IDLE:
            self.abort()
            return
        headers = [
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
            *reply.headers.items(),
        ]
        if reply.status in (413, 431):
            headers.append(("Connection", "close"))
        try:
            response = h11.Response(status_code=reply.status, headers=headers, reason=_REASONS.get(reply.status, b""))
            out = self._http.send(response) or b""
            is_head = self._request is not None and self._request.method == b"HEAD"
            out += self._http.send(h11.Data(data=b"" if is_head else reply.body)) or b""
            out += self._http.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError:
            log.warning("could not send a %s reply", reply.status)
            self.abort()
            return
        transport.write(out)
        if self._http.our_state is h11.MUST_CLOSE:
            transport.close()
            return
        try:
            self._http.start_next_cycle()
            self._advance()
        except h11.RemoteProtocolError as error:
            self._refuse_bytes(error)
        except h11.LocalProtocolError:
            transport.close()

    def _too_large(self) -> None:
        body = encode(envelope(10001, "Request body is too large.", {}, {}, self._server.exchange.house.reported_ms()))
        self._server.exchange.house.count("http_413")
        self._send(Reply(413, body))
        if self._transport is not None:
            self._transport.close()

    def _refuse_bytes(self, error: h11.RemoteProtocolError) -> None:
        self._server.exchange.house.count("http_bad_bytes")
        if self._transport is None:
            return
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            try:
                body = b"400 Bad Request"
                head = h11.Response(
                    status_code=error.error_status_hint,
                    headers=[
                        ("Content-Length", str(len(body))),
                        ("Content-Type", "text/plain"),
                        ("Connection", "close"),
                    ],
                )
                out = self._http.send(head) or b""
                out += self._http.send(h11.Data(data=body)) or b""
                out += self._http.send(h11.EndOfMessage()) or b""
                self._transport.write(out)
            except h11.LocalProtocolError:
                log.debug("bytes refused without an answer")
        self._transport.close()

    def drop_if_idle(self, now_s: float) -> None:
        if self._socket is None and self._busy is None and not self._is_hanging and now_s - self._heard_s > IDLE_S:
            self.abort()

    # -- sockets ----------------------------------------------------------------------------------------------

    def _upgrade(self, head: h11.Request, target: str) -> None:
        protocol = ServerProtocol(max_size=MAX_BODY, logger=_wire_log)
        lines = [b"GET ", head.target, b" HTTP/1.1\r\n"]
        for name, value in head.headers:
            lines += [name, b": ", value, b"\r\n"]
        protocol.receive_data(b"".join(lines) + b"\r\n")
        events = protocol.events_received()
        if not events or not isinstance(events[0], Handshake):
            self._send(Reply(400, b"Bad Request: not a websocket handshake", content_type="text/plain"))
            return
        try:
            response = protocol.accept(events[0])
        except (InvalidHandshake, ValueError):
            response = None
        if response is None or response.status_code != 101:
            self._send(Reply(400, b"Bad Request: not a websocket handshake", content_type="text/plain"))
            return
        session = self._server.exchange.connect(target, remote=self._remote)
        if isinstance(session, Reply):
            self._send(session)
            return
        protocol.send_response(response)
        self._socket = protocol
        self._session = session
        self._write_protocol()
        trailing, _ = self._http.trailing_data
        if trailing:
            self._socket_data(trailing)

    def _socket_data(self, data: bytes) -> None:
        protocol, session = self._socket, self._session
        if protocol is None or session is None or session.is_deaf:
            return
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event, session)
        self._write_protocol()
        self.flush()
        if protocol.close_expected() and self._transport is not None:
            self._transport.close()

    def _frame(self, frame: Frame, session: Session) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            session.heard_s = self._server.exchange.house.wire_s()
            return
        if not frame.fin:
            self._fragments.append(bytes(frame.data))
            return
        data = b"".join((*self._fragments, frame.data))
        self._fragments.clear()
        try:
            self._server.exchange.receive(session, data.decode("utf-8", "replace"))
        except Exception:
            log.exception("no answer to a socket message")
            self._server.exchange.house.count("internal_errors")

    def flush(self) -> None:
        """Writes the frames that are due and carries out a cut."""
        session, transport, protocol = self._session, self._transport, self._socket
        if session is None or transport is None or protocol is None:
            return
        due = session.take_due()
        if due and protocol.state is OPEN:
            transport.write(b"".join(_text_frame(text.encode()) for text in due))
        if transport.get_write_buffer_size() > MAX_UNSENT:
            self._server.exchange.house.count("sockets_too_slow")
            self.abort()
        elif session.close_code is not None:
            if session.close_code == 1006:
                self.abort()
            else:
                self._close_socket(session.close_code)

    def _close_socket(self, code: int) -> None:
        if self._socket is not None and self._socket.state is OPEN and self._transport is not None:
            self._socket.send_close(code)
            self._write_protocol()
            self._transport.close()

    def _write_protocol(self) -> None:
        if self._socket is None or self._transport is None or self._transport.is_closing():
            return
        for chunk in self._socket.data_to_send():
            if chunk:
                self._transport.write(chunk)

    def say_goodbye(self) -> None:
        self._close_socket(1001)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text frame (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return b"\x81" + length.to_bytes(1, "big") + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload
