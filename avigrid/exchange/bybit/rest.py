"""One REST call at a time: budget, signature, request, answer or a kernel error. Paths and signing are pybit's.

pybit's own retries are off: whether a request may be sent again is decided by the class of the error, above us.
"""

import logging
from collections.abc import Callable, Mapping
from threading import local
from time import monotonic
from typing import Any

import requests
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from avigrid.exchange.bybit.calls import Call, Lane
from avigrid.exchange.bybit.clock import ExchangeClock
from avigrid.exchange.bybit.errors import IP_BLOCK_S, error_for_code, error_for_silence, error_for_status
from avigrid.exchange.bybit.limits import Limiter
from avigrid.kernel.errors import AviGridError, OperatorNeeded

OnCall = Callable[[str, float, str], None]
"""(call, seconds on the wire, "ok" or the error's code); called for every request, from the calling thread."""

_NEVER_RETRIED = frozenset({0})  # pybit takes an empty set for its default; 0 is never an error
_MAX_RESET_WAIT_S = 5.0
_UNREADABLE = 409  # pybit's own number for an answer that is not JSON


class _Session(HTTP):
    """pybit's session, signing with the exchange's time instead of this machine's."""

    clock: ExchangeClock
    timeout: float

    def __repr__(self) -> str:
        """Without the secret, which pybit's would print into any traceback."""
        return f"{type(self).__name__}({self.endpoint})"

    def _prepare_headers(
        self, payload: str, recv_window: int, content_type: str = "application/json"
    ) -> dict[str, str]:
        window_ms = self.clock.recv_window_ms
        stamp_ms = self.clock.signing_ms()
        return {
            "Content-Type": content_type,
            "X-BAPI-API-KEY": str(self.api_key),
            "X-BAPI-SIGN": self._auth(payload=payload, recv_window=window_ms, timestamp=stamp_ms),
            "X-BAPI-SIGN-TYPE": "2",
            "X-BAPI-TIMESTAMP": str(stamp_ms),
            "X-BAPI-RECV-WINDOW": str(window_ms),
        }


class RestClient:
    """Thread-safe: each thread has its own session and connections. The secret stays inside the sessions."""

    def __init__(
        self,
        rest_url: str,
        *,
        clock: ExchangeClock,
        limiter: Limiter,
        api_key: str = "",
        api_secret: str = "",
        timeout_s: float = 10.0,
        write_timeout_s: float | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        self._rest_url = rest_url.rstrip("/")
        self._clock = clock
        self._limiter = limiter
        self._api_key = api_key
        self._api_secret = api_secret
        self._timeout_s = timeout_s
        self._write_timeout_s = timeout_s if write_timeout_s is None else write_timeout_s
        self._on_call = on_call or (lambda _call, _seconds, _code: None)
        self._threads = local()

    def call(
        self,
        call: Call,
        params: Mapping[str, object],
        *,
        lane: Lane = Lane.READ,
        patience_s: float = 5.0,
        cost: int = 1,
    ) -> dict[str, Any]:
        """The whole reply (retCode 0). Raises the classes of `avigrid.kernel.errors`. A batch costs one per order."""
        if call.per_second and not self._api_key:
            raise OperatorNeeded(f"{call.name} needs an API key", code="key_missing", call=call.name)
        for _ in range(cost):
            self._limiter.acquire(call, lane, patience_s=patience_s)
        session = self._session()
        session.timeout = self._write_timeout_s if call.writes else self._timeout_s
        request = getattr(session, call.method)
        started_s = monotonic()
        raised: AviGridError | None = None
        try:
            reply, _elapsed, headers = request(**params)
            if reply["retCode"] != 0:  # pybit lets an answer without a verdict pass
                raise ValueError("no retCode")
            self._limiter.observe(call, headers)
            return dict(reply)
        except InvalidRequestError as error:
            raised = self._refused(call, error)
        except FailedRequestError as error:
            raised = self._failed(call, error)
        except (requests.exceptions.RequestException, OSError) as error:
            self._drop_session()
            sent = _may_have_been_sent(error)
            raised = error_for_silence(_reason(error), sent=sent, writes=call.writes, call=call.name)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            self._drop_session()  # pybit stumbled over an answer of the wrong shape: a list, a bare word
            raised = error_for_silence(type(error).__name__, sent=True, writes=call.writes, call=call.name)
        finally:
            self._on_call(call.name, monotonic() - started_s, "ok" if raised is None else raised.code)
        raise raised

    def _refused(self, call: Call, error: InvalidRequestError) -> AviGridError:
        headers = error.resp_headers or {}
        self._limiter.observe(call, headers)
        raised = error_for_code(int(error.status_code), str(error.message), writes=call.writes, call=call.name)
        if raised.code == "rate_limited":
            wait_s = self._until_reset_s(headers, float(str(raised.details["retry_after_s"])))
            raised.details["retry_after_s"] = wait_s
            self._limiter.refused_by_venue(call, seconds=wait_s)
        elif raised.code == "clock_skew":
            self._resync()
        return raised

    def _failed(self, call: Call, error: FailedRequestError) -> AviGridError:
        status = int(error.status_code)
        if status == _UNREADABLE and error.resp_headers is None:
            return error_for_silence("the answer is not JSON", sent=True, writes=call.writes, call=call.name)
        if status == 403:
            self._limiter.block_address(seconds=IP_BLOCK_S)
        return error_for_status(status, writes=call.writes, call=call.name)

    def _until_reset_s(self, headers: Mapping[str, str], default_s: float) -> float:
        reset_ms = headers.get("X-Bapi-Limit-Reset-Timestamp", "")
        if not reset_ms.isdigit():
            return default_s
        wait_s = (int(reset_ms) - self._clock.now_ms()) / 1000 / max(1.0, self._clock.rate_ratio)
        return min(max(wait_s, 0.1), _MAX_RESET_WAIT_S)

    def _resync(self) -> None:
        try:
            self._clock.measure()
        except AviGridError:
            logging.getLogger(__name__).warning("clock could not be measured after a refused timestamp")

    def _session(self) -> _Session:
        session = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = self._new_session()
        return session

    def _new_session(self) -> _Session:
        session = _Session(
            api_key=self._api_key or None,
            api_secret=self._api_secret or None,
            timeout=self._timeout_s,
            force_retry=False,
            max_retries=1,
            retry_codes=set(_NEVER_RETRIED),
            return_response_headers=True,
        )
        session.endpoint = self._rest_url
        session.clock = self._clock
        if self._rest_url.startswith("http://"):
            session.client.trust_env = False  # a plain URL is a local exchange: no proxy stands between
        return session

    def _drop_session(self) -> None:
        """A connection that failed once is not trusted again."""
        session = getattr(self._threads, "session", None)
        if session is not None:
            session.client.close()
            self._threads.session = None


def _may_have_been_sent(error: Exception) -> bool:
    """Only a connection that never came about proves that nothing was written."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return False
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        return not isinstance(cause.reason, NewConnectionError | ConnectTimeoutError)
    return True


def _reason(error: Exception) -> str:
    """The kind of failure, without the request's text (which would carry parameters into logs)."""
    cause = error.args[0] if error.args else None
    inner = cause.reason if isinstance(cause, MaxRetryError) else cause
    return type(error).__name__ + (f" ({type(inner).__name__})" if isinstance(inner, BaseException) else "")
