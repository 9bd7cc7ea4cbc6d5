"""The tables of the trading app; each module says what its rows mean."""

from trading.models.auto_mode import AutoMode
from trading.models.delivery import Delivery
from trading.models.fee_rates import AccountFeeRates
from trading.models.fills import EquitySnapshot, Fill, LedgerEntry, LedgerKind, Position, SlippageRecord
from trading.models.notification_channel import NotificationChannel
from trading.models.orders import LIVE_STATUSES, TERMINAL_STATUSES, Order, OrderEvent
from trading.models.outbox import OutboxEvent
from trading.models.performance import PerformanceDay
from trading.models.plans import OPEN_PLAN_STATUSES, Plan, PlanOrigin, PlanStatus
from trading.models.reconciliation import ReconciliationFinding, ReconciliationRun, Severity
from trading.models.research import ENDED, ResearchKind, ResearchRun, ResearchShard, ResearchStatus
from trading.models.signals import Decision, Signal, SignalStatus
from trading.models.strategy import Stage, StrategyVersion
from trading.models.validation import ModelledPlan, ModelledStatus, StageChange

__all__ = [
    "ENDED",
    "LIVE_STATUSES",
    "OPEN_PLAN_STATUSES",
    "TERMINAL_STATUSES",
    "AccountFeeRates",
    "AutoMode",
    "Decision",
    "Delivery",
    "EquitySnapshot",
    "Fill",
    "LedgerEntry",
    "LedgerKind",
    "ModelledPlan",
    "ModelledStatus",
    "NotificationChannel",
    "Order",
    "OrderEvent",
    "OutboxEvent",
    "PerformanceDay",
    "Plan",
    "PlanOrigin",
    "PlanStatus",
    "Position",
    "ReconciliationFinding",
    "ReconciliationRun",
    "ResearchKind",
    "ResearchRun",
    "ResearchShard",
    "ResearchStatus",
    "Severity",
    "Signal",
    "SignalStatus",
    "SlippageRecord",
    "Stage",
    "StageChange",
    "StrategyVersion",
]
