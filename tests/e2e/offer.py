"""A signal to place, now: what the strategy would store, a little above the price the market has this second.

Run by the tests in the desk's own environment (`RunningDesk.offer`), so that no story waits for the market to trend.
"""

from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.selectors.trading_accounts import primary_account
from avigrid.common import push
from avigrid.kernel.instrument import FeeRates
from marketdata.selectors.instruments import instrument, whitelist
from risk.models import EntryMark
from risk.selectors.limits import limits_of
from risk.services.meters import entry_note
from trading.avi5.config import StrategyConfig
from trading.avi5.levels import build_plan
from trading.models import OPEN_PLAN_STATUSES, Decision, Plan, Signal, StrategyVersion
from trading.selectors.exchange_time import exchange_time
from trading.selectors.risk_view import marks_of
from trading.selectors.strategy import active_version
from trading.services.strategy_versions import strategy_version_activate, strategy_version_create
from trading.services.times import from_ms

VALID_S = 120
ATR_RATIO = 0.004
HEADROOM = 1.004
"""An offer made above the market still stands after some seconds of a market at 30 times the pace."""


def quieten(is_quiet: bool) -> None:
    """Every hour dead, or the strategy as it came: its own signals replace an offer on the same symbol."""
    now = timezone.now()
    first = StrategyVersion.objects.earliest("version")
    if is_quiet:
        config = StrategyConfig.from_mapping(first.config).replaced({"dead_hours": list(range(24))})
        strategy_version_create(config=config, stage=first.stage, actor="test", now=now)
    else:
        strategy_version_activate(version_id=first.pk, actor="test", now=now)


def offer(*, frees_in_s: float = 0) -> dict[str, object]:
    """On a symbol without a plan and without a late entry; the risk checks are the real ones.

    `frees_in_s`: somebody entered the same side so lately that it may be placed only then.
    """
    account = primary_account()
    assert account is not None
    clock = exchange_time(account.pk)
    assert clock is not None
    taken = set(Plan.objects.filter(status__in=OPEN_PLAN_STATUSES).values_list("symbol", flat=True))
    now = from_ms(clock.now_ms)
    churn = timedelta(seconds=limits_of(account.pk).anti_churn_s)
    taken |= set(EntryMark.objects.filter(entered_at__gt=now - churn).values_list("symbol", flat=True))
    marks = marks_of({symbol for symbol in whitelist() if symbol not in taken})
    symbol = min(marks)
    spec = build_plan(
        symbol=symbol,
        direction=1,
        close=float(marks[symbol].mark) * HEADROOM,
        atr=float(marks[symbol].mark) * ATR_RATIO,
        config=StrategyConfig(),
        instrument=instrument(symbol),
        fees=FeeRates(),
        r_usd=Decimal(10),
    )
    rule = {"rule": "spread", "passed": True, "value": 1.5, "threshold": 5.0, "unit": "bps"}
    with transaction.atomic():
        decision = Decision.objects.create(
            strategy=active_version(),
            symbol=symbol,
            bar_start=now - timedelta(days=30, seconds=timezone.now().microsecond),
            decided_at=now,
            status="signal",
            direction=1,
            rules={"long": [rule], "short": [rule], "failed": []},
            indicators={"side": 1},
        )
        signal = Signal.objects.create(
            decision=decision,
            symbol=symbol,
            direction=1,
            profile=spec.profile.value,
            entry_price=spec.entry,
            stop_price=spec.stop,
            spec=spec.to_json(),
            risk_usd=spec.planned_loss_usd,
            created_at=now,
            valid_until=now + timedelta(seconds=VALID_S * clock.rate_ratio),
        )
        if frees_in_s:
            entered = now - churn + timedelta(seconds=frees_in_s * clock.rate_ratio)
            entry_note(account_id=account.pk, symbol=symbol, direction=1, at=entered)
        push.event("signal", {"id": signal.pk, "symbol": symbol, "status": "new"})
    return {"id": signal.pk, "symbol": symbol}
