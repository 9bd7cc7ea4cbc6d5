"""Who is asking: Bybit V5's signatures, timestamps and receive windows (Bybit V5, Integration Guidance).

Pure: the raw text that was sent goes in, a refusal or None comes out. Nothing is re-serialised, because clients
differ in spacing and order of their parameters and only the bytes they sent are signed.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_RECV_WINDOW_MS = 5_000
MAX_AHEAD_MS = 1_000


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one account's key. `user_id` is what frames and query-api show."""

    api_key: str
    api_secret: str
    user_id: int = 100000001
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class AuthFailure:
    """`http_status` other than 200 means that Bybit's gateway refuses before the API proper."""

    code: int
    message: str
    http_status: int = 200


def hmac_hex(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def sign_request(credentials: Credentials, *, timestamp_ms: int, recv_window: str, payload: str) -> str:
    """`payload` is the query string of a GET or the body of a POST, exactly as sent."""
    return hmac_hex(credentials.api_secret, f"{timestamp_ms}{credentials.api_key}{recv_window}{payload}")


def sign_socket(credentials: Credentials, expires: str) -> str:
    return hmac_hex(credentials.api_secret, f"GET/realtime{expires}")


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def check_window(timestamp: str, recv_window: str, *, now_ms: int, speed: float) -> AuthFailure | None:
    """`server - window <= timestamp < server + 1000`, both sides stretched by a clock that runs faster than the
    client's.
    """
    if not (timestamp.isdigit() and len(timestamp) <= 20):
        return AuthFailure(10002, _window_text(timestamp, now_ms, recv_window))
    if recv_window and not (recv_window.isdigit() and len(recv_window) <= 12):
        return AuthFailure(10001, f"params error: recv_window invalid {recv_window[:40]}")
    window_ms = int(recv_window) if recv_window and int(recv_window) > 0 else DEFAULT_RECV_WINDOW_MS
    stretch = max(1.0, speed)
    sent_ms = int(timestamp)
    if now_ms - window_ms * stretch <= sent_ms < now_ms + MAX_AHEAD_MS * stretch:
        return None
    return AuthFailure(10002, _window_text(timestamp, now_ms, str(window_ms)))


def _window_text(timestamp: str, now_ms: int, recv_window: str) -> str:
    return (
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{timestamp[:24]}],server_timestamp[{now_ms}],recv_window[{recv_window[:16]}]"
    )


def check_request(
    credentials: Credentials, headers: Mapping[str, str], *, payload: str, now_ms: int, speed: float = 1.0
) -> AuthFailure | None:
    """`headers` have lower-case names. The sign-type header is optional; an absent window means 5,000 ms."""
    key = headers.get("x-bapi-api-key", "")
    timestamp = headers.get("x-bapi-timestamp", "").strip()
    signature = headers.get("x-bapi-sign", "").strip()
    if not key or not timestamp or not signature:
        return AuthFailure(10003, "API key is invalid.", http_status=401)
    if not _same(key, credentials.api_key):
        return AuthFailure(10003, "API key is invalid.")
    recv_window = headers.get("x-bapi-recv-window", "").strip()
    late = check_window(timestamp, recv_window, now_ms=now_ms, speed=speed)
    if late is not None:
        return late
    origin = f"{timestamp}{key}{recv_window}{payload}"
    if not _same(hmac_hex(credentials.api_secret, origin), signature.lower()):
        text = f"Error sign, please check your signature generation algorithm. origin_string[{origin[:2000]}]"
        return AuthFailure(10004, text)
    return None


def check_socket(credentials: Credentials, args: object, *, now_ms: int, speed: float = 1.0) -> AuthFailure | None:
    """Arguments of an `auth` op: [key, expires, signature]; `expires` may be a string or a number."""
    if not isinstance(args, list) or len(args) < 3:
        return AuthFailure(10001, "Param error")
    key, expires, signature = args[0], args[1], args[2]
    if isinstance(expires, float) and expires.is_integer():
        expires = int(expires)
    expires_text = str(expires)
    if not isinstance(key, str) or not isinstance(signature, str) or isinstance(expires, bool):
        return AuthFailure(10001, "Param error")
    if not (expires_text.isdigit() and len(expires_text) <= 20):
        return AuthFailure(10001, "Param error: expires")
    if not _same(key, credentials.api_key):
        return AuthFailure(10003, "Invalid apikey")
    # A client at wall speed signs "now + 1 s" while this clock runs on: allow the stretch of one window.
    slack_ms = DEFAULT_RECV_WINDOW_MS * speed if speed > 1 else 0
    if int(expires_text) + slack_ms <= now_ms:
        return AuthFailure(10004, "Params Error, expires is not bigger than now")
    if not _same(sign_socket(credentials, expires_text), signature.lower()):
        return AuthFailure(10004, "error sign! signature is invalid")
    return None
