"""Errors that say what to do. Each carries a stable `code`; nobody ever matches on message text."""


class AviGridError(Exception):
    """Base. `code` is stable snake_case; `details` are numbers and names for logs, verdicts and pages."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        if code is not None:
            self.code = code


class Retryable(AviGridError):
    """Surely not executed; may be sent again after `details["retry_after_s"]`, if present."""

    code = "retryable"


class OutcomeUnknown(AviGridError):
    """It may or may not have happened: ask for evidence, never send again blindly."""

    code = "outcome_unknown"


class Rejected(AviGridError):
    """Refused for good: the parameters must change. `details["venue_code"]` holds Bybit's retCode, if any."""

    code = "rejected"


class NotModified(Rejected):
    """The venue already is as asked (leverage, stop, mode): treat as done."""

    code = "not_modified"


class OrderNotFound(Rejected):
    """The venue does not know this order (any more); not evidence that it never existed."""

    code = "order_not_found"


class DuplicateOrder(Rejected):
    """An order with this order_link_id exists: the earlier send arrived. Fetch and adopt it."""

    code = "duplicate_order"


class OperatorNeeded(AviGridError):
    """A person must act (key, permission, ban): stop trading and tell them."""

    code = "operator_needed"


class Bug(AviGridError):
    """An invariant does not hold: the code is wrong, not the world."""

    code = "bug"


class InvalidCandle(AviGridError):
    """A bar that may not be used: unconfirmed, inconsistent prices, negative volume or not yet over."""

    code = "invalid_candle"
