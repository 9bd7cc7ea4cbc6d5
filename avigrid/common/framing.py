"""`@same_origin_frame`: a self-contained page that one of our own pages may show in a frame, and that can do nothing.

For reports: markup with its own style elements and inline SVG. Whatever else got into it neither runs nor loads:
the document is sandboxed (no scripts, no forms, an origin of its own) and only the styles it was sent with count.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Any

from django.http import HttpResponse

_STYLE = re.compile(rb"<style[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE)

View = Callable[..., HttpResponse]


def same_origin_frame(view: View) -> View:
    """Below `@requires(...)`. Refusals and errors keep the policy of every page: they are not for frames."""

    @wraps(view)
    def framed(*args: Any, **kwargs: Any) -> HttpResponse:
        response = view(*args, **kwargs)
        if response.status_code == 200:
            response["Content-Security-Policy"] = report_policy(response.content)
            response["X-Frame-Options"] = "SAMEORIGIN"
            # a sandboxed document with an opener policy would not open in a tab of its own
            response["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return response

    return framed


def report_policy(page: bytes) -> str:
    hashes = [f"'sha256-{b64encode(sha256(_as_parsed(text)).digest()).decode()}'" for text in _STYLE.findall(page)]
    directives = {
        "default-src": "'none'",
        "style-src": " ".join(dict.fromkeys(hashes)) or "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
        "sandbox": "",
    }
    return "; ".join(f"{name} {value}".rstrip() for name, value in directives.items())


def _as_parsed(text: bytes) -> bytes:
    """Browsers hash what their parser made of it: one kind of line end."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
