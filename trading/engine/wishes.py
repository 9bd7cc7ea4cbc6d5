"""What a person may decide about things at the venue that are not ours."""

from enum import StrEnum

from trading.engine.differences import Kind


class Wish(StrEnum):
    """A position: adopt (becomes a plan), flatten, ignore. An order: claim, cancel, ignore.

    A claimed order is somebody's own: known from now on, never touched. Ignoring keeps new risk out. Where the books
    say another size than the venue and nothing explains it: accept what the venue says.
    """

    ADOPT = "adopt"
    FLATTEN = "flatten"
    CANCEL = "cancel"
    CLAIM = "claim"
    IGNORE = "ignore"
    ACCEPT = "accept"


_POSSIBLE = {
    Kind.POSITION_FOREIGN.value: (Wish.ADOPT, Wish.FLATTEN, Wish.IGNORE),
    Kind.POSITION_MISMATCH.value: (Wish.ACCEPT,),
    Kind.ORDER_FOREIGN.value: (Wish.CLAIM, Wish.CANCEL, Wish.IGNORE),
}


def wishes_for(kind: str) -> tuple[Wish, ...]:
    """Of a finding's kind; none for what the reconciliation repairs by itself."""
    return _POSSIBLE.get(kind, ())
