"""How the venue says no: Bybit's retCode and retMsg, raised by Venue methods, wrapped by the wire."""


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error of ours
    """A business refusal (HTTP 200). `code` is Bybit's retCode, `message` its retMsg."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def bad_parameter(text: str) -> Refusal:
    return Refusal(10001, f"params error: {text}")


def missing(name: str) -> Refusal:
    return Refusal(10001, f"params error: {name} is required")


def order_not_found(verb: str = "cancel") -> Refusal:
    return Refusal(110001, f"order not exists or too late to {verb}")


def margin_short() -> Refusal:
    return Refusal(110007, "ab not enough for new order")


def duplicate_link_id() -> Refusal:
    return Refusal(110072, "OrderLinkedID is duplicate")


def mode_mismatch() -> Refusal:
    return Refusal(10001, "position idx not match position mode")


def unknown_symbol() -> Refusal:
    return Refusal(10001, "params error: symbol invalid")
