"""Frames of the socket itself: acknowledgements and pongs; the subscribe, auth and ping requests; auth's signature."""

import hashlib
import hmac
from collections.abc import Sequence

import msgspec
from msgspec.json import encode

from avigrid.exchange.bybit.codec.fields import MalformedMessage


class Control(msgspec.Struct, frozen=True):
    """`op` is auth, subscribe, unsubscribe or pong (also where the venue calls its answer "ping")."""

    op: str
    success: bool
    message: str
    req_id: str


class _Frame(
    msgspec.Struct,
    rename={"ret_code": "retCode", "ret_text": "retMsg"},
):
    op: str
    success: bool | None = None
    ret_msg: str | None = None
    ret_code: int | None = None
    ret_text: str | None = None
    req_id: str | int | None = None


_decoder = msgspec.json.Decoder(_Frame)


def control(raw: bytes) -> Control:
    try:
        frame = _decoder.decode(raw)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise MalformedMessage(f"control frame: {error}", reason="control") from error
    message = frame.ret_msg or frame.ret_text or ""
    success = frame.success if frame.success is not None else frame.ret_code in (0, None)
    op = "pong" if frame.op == "ping" or message == "pong" else frame.op
    if frame.ret_code:
        message = f"{frame.ret_code} {message}".strip()
    return Control(op=op, success=success, message=message, req_id="" if frame.req_id is None else str(frame.req_id))


def subscribe_request(topics: Sequence[str], req_id: str) -> str:
    return encode({"req_id": req_id, "op": "subscribe", "args": list(topics)}).decode()


def unsubscribe_request(topics: Sequence[str], req_id: str) -> str:
    return encode({"req_id": req_id, "op": "unsubscribe", "args": list(topics)}).decode()


def ping_request(req_id: str) -> str:
    return encode({"req_id": req_id, "op": "ping"}).decode()


def auth_request(*, api_key: str, api_secret: str, expires_ms: int, req_id: str) -> str:
    args = [api_key, expires_ms, stream_signature(api_secret, expires_ms)]
    return encode({"req_id": req_id, "op": "auth", "args": args}).decode()


def stream_signature(api_secret: str, expires_ms: int) -> str:
    return hmac.new(api_secret.encode(), f"GET/realtime{expires_ms}".encode(), hashlib.sha256).hexdigest()
