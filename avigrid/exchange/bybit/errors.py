"""What Bybit's refusals mean for us: retCode or HTTP status -> a class of `avigrid.kernel.errors`.

The table is the whole policy. RETRY was surely not executed; ASK may have been (for reads that is harmless, so they
retry); FIX is refused for good; STOP needs a person. Nothing here looks at message texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from avigrid.kernel.errors import (
    AviGridError,
    DuplicateOrder,
    NotModified,
    OperatorNeeded,
    OrderNotFound,
    OutcomeUnknown,
    Rejected,
    Retryable,
)

IP_BLOCK_S = 600.0


class Meaning(Enum):
    RETRY = "retry"
    ASK = "ask"
    FIX = "fix"
    STOP = "stop"
    NOT_MODIFIED = "not_modified"
    NOT_FOUND = "not_found"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Rule:
    meaning: Meaning
    code: str
    retry_after_s: float | None = None


def _rules() -> dict[int, Rule]:
    table: dict[int, Rule] = {}

    def add(meaning: Meaning, code: str, *venue_codes: int, retry_after_s: float | None = None) -> None:
        table.update(dict.fromkeys(venue_codes, Rule(meaning, code, retry_after_s)))

    add(Meaning.ASK, "venue_overloaded", 429, 10429)
    add(Meaning.ASK, "venue_timeout", 10000, 10016, 10019, 170001, 170005, 170007, 170032, 170146, 170147, 500000)
    add(Meaning.ASK, "duplicate_request", 10014, 20006)
    add(Meaning.ASK, "order_changed", 40004, 110064)

    add(Meaning.RETRY, "clock_skew", -1, 10002, retry_after_s=0.0)
    add(Meaning.RETRY, "rate_limited", 10006, 10018, 10403, 20003, 170222, retry_after_s=1.5)
    add(Meaning.RETRY, "order_in_process", 110079, retry_after_s=1.0)
    add(Meaning.RETRY, "position_in_liquidation", 110005, retry_after_s=5.0)
    add(Meaning.RETRY, "no_market_price", 110118, retry_after_s=2.0)
    add(Meaning.RETRY, "symbol_not_tradable", 110063, 110066, 110074, 110095, retry_after_s=60.0)

    add(Meaning.NOT_MODIFIED, "not_modified", 34040, 110025, 110026, 110027, 110043)
    add(Meaning.NOT_FOUND, "order_not_found", 110001, 170213)
    add(Meaning.NOT_FOUND, "order_already_done", 110008, 110010)
    add(Meaning.DUPLICATE, "duplicate_order", 110072)

    add(Meaning.FIX, "bad_parameter", 10001, 10017, 10404, 20001, 110018, 110019, 110022, 110032, 181017)
    add(Meaning.FIX, "symbol_not_allowed", 10029)
    add(Meaning.FIX, "price_out_of_range", 30208, 30209, 110003, 110120, 110121)
    add(
        Meaning.FIX,
        "insufficient_margin",
        *(110004, 110006, 110007, 110012, 110014, 110044, 110045, 110051, 110052, 110053),
    )
    add(Meaning.FIX, "too_many_orders", 110009, 110020, 110061)
    add(Meaning.FIX, "risk_tier", 110013, 110031, 110085, 110086, 110089, 110090, 3400139)
    add(Meaning.FIX, "wrong_margin_mode", 110015, 110036, 110038, 110073, 110076, 110077, 3400045)
    add(Meaning.FIX, "nothing_to_reduce", 110017)
    add(Meaning.FIX, "no_position", 110033, 110034)
    add(Meaning.FIX, "open_interest_limit", 110021)
    add(Meaning.FIX, "position_open", 110024)
    add(Meaning.FIX, "orders_open", 110028)
    add(Meaning.FIX, "hedge_unsupported", 110029)
    add(Meaning.FIX, "bad_stop", 110057, 110058, 110059, 110060, 110092, 110093)
    add(Meaning.FIX, "below_min_notional", 110094)

    add(Meaning.STOP, "key_invalid", 10003, 10004, 10007)
    add(Meaning.STOP, "key_permission", 10005)
    add(Meaning.STOP, "key_ip", 10010)
    add(Meaning.STOP, "key_expired", 33004, -2015)
    add(Meaning.STOP, "account_restricted", 10008, 10009, 10024, 10027, 110123, 110124, 110125, 110132)
    add(Meaning.STOP, "account_not_unified", 10028)
    add(Meaning.STOP, "symbol_closing", 30228, 110023, 110042)
    add(Meaning.STOP, "would_liquidate", 110011, 110039, 110040, 110046)
    return table


RULES: Mapping[int, Rule] = _rules()

_HTTP = {
    400: Rule(Meaning.FIX, "bad_request"),
    401: Rule(Meaning.STOP, "key_invalid"),
    403: Rule(Meaning.STOP, "ip_blocked", IP_BLOCK_S),
    404: Rule(Meaning.FIX, "bad_request"),
    429: Rule(Meaning.ASK, "venue_overloaded"),
}
_CLASSES: Mapping[Meaning, type[AviGridError]] = {
    Meaning.RETRY: Retryable,
    Meaning.ASK: OutcomeUnknown,
    Meaning.FIX: Rejected,
    Meaning.STOP: OperatorNeeded,
    Meaning.NOT_MODIFIED: NotModified,
    Meaning.NOT_FOUND: OrderNotFound,
    Meaning.DUPLICATE: DuplicateOrder,
}


def error_for_code(venue_code: int, message: str, *, writes: bool, call: str) -> AviGridError:
    """A business refusal (HTTP 200). A code nobody knows is never taken as proof that a write did not happen."""
    rule = RULES.get(venue_code)
    if rule is None:
        is_refusal = 110_000 <= venue_code < 120_000 or not writes
        rule = Rule(Meaning.FIX, "refused") if is_refusal else Rule(Meaning.ASK, "unknown_code")
    return _build(rule, f"{call}: {message} (retCode {venue_code})", writes=writes, call=call, venue_code=venue_code)


def error_for_status(status: int, *, writes: bool, call: str) -> AviGridError:
    """An HTTP status other than 200. Server errors leave a write's outcome open."""
    rule = _HTTP.get(status) or Rule(Meaning.ASK, "venue_failed")
    return _build(rule, f"{call}: HTTP status {status}", writes=writes, call=call, http_status=status)


def error_for_silence(reason: str, *, sent: bool, writes: bool, call: str) -> AviGridError:
    """No answer at all. `sent`: something may have reached the venue."""
    meaning = Meaning.ASK if sent else Meaning.RETRY
    code = "no_answer" if sent else "unreachable"
    return _build(Rule(meaning, code, 1.0), f"{call}: {reason}", writes=writes, call=call, reason=reason)


def _build(rule: Rule, text: str, *, writes: bool, **details: object) -> AviGridError:
    meaning = rule.meaning
    if meaning is Meaning.ASK and not writes:
        meaning = Meaning.RETRY
    if rule.retry_after_s is not None:
        details["retry_after_s"] = rule.retry_after_s
    if rule.code == "symbol_closing":
        details["scope"] = "symbol"
    return _CLASSES[meaning](text, code=rule.code, **details)
