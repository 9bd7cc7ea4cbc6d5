"""What the kill switch was asked for and has not finished."""

from risk.core.states import State
from risk.selectors.guards import effective_state
from risk.selectors.history import state_changes


def flatten_pending(account_id: int) -> list[str | None]:
    """Scopes (None: the whole account) still halted whose last change asked for flattening, and which were not flat
    since."""
    newest: dict[str | None, bool] = {}
    for change in reversed(list(state_changes(account_id).select_related("flatten_done"))):
        newest[change.symbol] = change.flatten and not hasattr(change, "flatten_done")
    return [
        symbol for symbol, flatten in newest.items() if flatten and effective_state(account_id, symbol) is State.HALTED
    ]
