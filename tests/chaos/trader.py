"""Scripted trading: offers, clicks, closes, price moves; every choice from one seeded generator."""

import random
from datetime import timedelta
from decimal import Decimal

from django.db import InterfaceError, OperationalError
from django.utils import timezone

from avigrid.exchange.bybit.connect import BybitClient
from avigrid.kernel.errors import AviGridError
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import Kline
from marketdata.models import KlineSource
from marketdata.selectors.instruments import instrument
from marketdata.services.klines import klines_store
from risk.core.states import StateSource
from risk.services.states import halt
from tests.chaos.wire import Wire
from trading.avi5.config import StrategyConfig
from trading.avi5.levels import build_plan
from trading.models import OPEN_PLAN_STATUSES, Decision, Plan, Signal, StrategyVersion
from trading.services.placing import signal_place
from trading.services.plan_commands import plan_break_even, plan_cancel_entries, plan_close
from trading.services.strategy_versions import strategy_version_create
from trading.services.times import from_ms

BAR_MS = 300_000
_WEIGHTS = {"place": 8, "close": 1, "break_even": 1, "stop_buying": 1, "jump": 1, "small_jump": 5}


class Trader:
    def __init__(self, account_id: int, client: BybitClient, wire: Wire, symbols: tuple[str, ...], rng: random.Random):
        self.account_id = account_id
        self.client = client
        self.wire = wire
        self.symbols = symbols
        self.rng = rng
        self.bar = 0
        self.first_bar_ms = client.clock.now_ms() // BAR_MS * BAR_MS - 86_400_000
        self.placed = 0
        self.refused: dict[str, int] = {}
        self.versions = [
            self._version(StrategyConfig()),
            self._version(StrategyConfig.from_mapping({"profile": "grid"})),
        ]

    def act(self, wanted: str = "") -> str:
        """One thing an operator or the market does; trouble with the database or the venue is part of the game.

        Every other time it is the `wanted` one.
        """
        action = self.rng.choices(tuple(_WEIGHTS), weights=tuple(_WEIGHTS.values()), k=1)[0]
        if wanted and self.rng.random() < 0.5:
            action = wanted
        try:
            getattr(self, f"_{action}")()
        except (AviGridError, OperationalError, InterfaceError, OSError) as error:
            return f"{action}: {type(error).__name__}"
        return action

    def _place(self) -> None:
        symbol, direction = self.rng.choice(self.symbols), self.rng.choice((1, -1))
        mark = next(row.mark_price for row in self.client.market.tickers() if row.symbol == symbol)
        version = self.rng.choice(self.versions)
        now_ms = self.client.clock.now_ms()
        spec = build_plan(
            symbol=symbol,
            direction=direction,
            close=mark,
            atr=mark * 0.0015,
            config=StrategyConfig.from_mapping(version.config),
            instrument=instrument(symbol),
            fees=FeeRates(),
            r_usd=Decimal(20),
        )
        if spec.refusal is not None:
            return
        self.bar += 1
        decision = Decision.objects.create(
            strategy=version,
            symbol=symbol,
            bar_start=from_ms(self.first_bar_ms - self.bar * BAR_MS),
            decided_at=from_ms(now_ms),
            status="signal",
            direction=direction,
        )
        signal = Signal.objects.create(
            decision=decision,
            symbol=symbol,
            direction=direction,
            profile=spec.profile.value,
            entry_price=spec.entry,
            stop_price=spec.stop,
            spec=spec.to_json(),
            risk_usd=spec.planned_loss_usd,
            created_at=from_ms(now_ms),
            valid_until=from_ms(now_ms) + timedelta(seconds=60),
        )
        start_ms = now_ms // BAR_MS * BAR_MS - BAR_MS
        row = Kline(symbol, 5, start_ms, mark, mark, mark, mark, 1.0, mark, True)
        klines_store([row], source=KlineSource.REST, now_ms=now_ms)
        placement = signal_place(signal_id=signal.pk, account_id=self.account_id, user=None, actor="chaos")
        if placement.placed:
            self.placed += 1
        else:
            for code in placement.refused or (placement.code,):
                self.refused[code] = self.refused.get(code, 0) + 1

    def _close(self) -> None:
        plan = self._any_plan()
        if plan is not None:
            plan_close(plan_id=plan.pk, user="chaos")

    def _break_even(self) -> None:
        plan = self._any_plan("active")
        if plan is not None:
            self.wire.jump(plan.symbol, plan.direction * 0.003)
            plan_break_even(plan_id=plan.pk, user="chaos")

    def _stop_buying(self) -> None:
        plan = self._any_plan()
        if plan is not None:
            plan_cancel_entries(plan_id=plan.pk, user="chaos")

    def flatten(self) -> bool:
        halt(account_id=self.account_id, source=StateSource.COMMAND, reason="chaos", actor="chaos", flatten=True)
        return True

    def _jump(self) -> None:
        self.wire.jump(self.rng.choice(self.symbols), self.rng.choice((-1, 1)) * self.rng.uniform(0.008, 0.02))

    def _small_jump(self) -> None:
        self.wire.jump(self.rng.choice(self.symbols), self.rng.uniform(-0.004, 0.004))

    def _any_plan(self, *statuses: str) -> Plan | None:
        wanted = statuses or OPEN_PLAN_STATUSES
        plans = list(Plan.objects.filter(account_id=self.account_id, status__in=wanted).order_by("pk"))
        return self.rng.choice(plans) if plans else None

    @staticmethod
    def _version(config: StrategyConfig) -> StrategyVersion:
        return strategy_version_create(config=config, stage="paper", actor=None, now=timezone.now(), activate=False)
