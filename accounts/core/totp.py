"""Time-based one-time passwords (RFC 6238): 30 s steps, 6 digits, HMAC-SHA-1, as authenticator apps expect."""

import base64
import hmac
import struct
from hashlib import sha1
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
TOLERATED_STEPS = 1
SECRET_BYTES = 20


def code_at(*, secret: bytes, step: int) -> str:
    mac = hmac.new(secret, struct.pack(">Q", step), sha1).digest()
    offset = mac[-1] & 0x0F
    number = struct.unpack(">I", mac[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def current_code(*, secret: bytes, now_s: int) -> str:
    return code_at(secret=secret, step=now_s // STEP_S)


def matching_step(*, secret: bytes, code: str, now_s: int) -> int | None:
    """The time step `code` belongs to, one step of clock difference tolerated either way; None where it is wrong."""
    code = code.replace(" ", "")
    if len(code) != DIGITS or not code.isascii() or not code.isdigit():
        return None
    middle = now_s // STEP_S
    for step in range(middle - TOLERATED_STEPS, middle + TOLERATED_STEPS + 1):
        if step >= 0 and hmac.compare_digest(code_at(secret=secret, step=step), code):
            return step
    return None


def secret_text(secret: bytes) -> str:
    return base64.b32encode(secret).decode().rstrip("=")


def provisioning_uri(*, secret: bytes, account: str, issuer: str) -> str:
    """What the QR code says (Key URI Format of authenticator apps)."""
    label = quote(f"{issuer}:{account}", safe="")
    query = urlencode({"secret": secret_text(secret), "issuer": issuer, "digits": DIGITS, "period": STEP_S})
    return f"otpauth://totp/{label}?{query}"
