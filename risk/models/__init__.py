"""Tables of risk. Other apps reach them through selectors and services."""

from risk.models.decision import RiskDecision
from risk.models.entry_mark import EntryMark
from risk.models.limits import RiskLimitsVersion
from risk.models.meter import AccountMeter
from risk.models.state import FlattenDone, TradingState, TradingStateChange

__all__ = [
    "AccountMeter",
    "EntryMark",
    "FlattenDone",
    "RiskDecision",
    "RiskLimitsVersion",
    "TradingState",
    "TradingStateChange",
]
