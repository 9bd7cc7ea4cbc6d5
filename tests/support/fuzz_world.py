"""A world in which every operation of the API has something to succeed on."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache as django_cache
from django.utils import timezone
from rest_framework.throttling import SimpleRateThrottle

from accounts.models import User
from accounts.permissions import api as api_door
from accounts.services.api_keys import api_key_add
from avigrid.common import heartbeats
from risk.core.states import State
from risk.services.states import halt, rearm
from tests.support.api_world import ApiWorld, good_key
from tests.support.trading_rows import make_account
from tests.support.users import make_user
from trading.avi5.config import StrategyConfig
from trading.backtest.walk_forward import HourResult
from trading.models import Plan, PlanStatus, ReconciliationFinding, ResearchRun, Signal
from trading.selectors.exchange_time import process_name
from trading.services.research import research_start
from trading.services.stages import change_stage
from trading.services.strategy_versions import strategy_version_create
from trading.services.times import to_ms

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
_MEASURES = (
    *("trades", "win_rate", "profit_factor", "expectancy_r", "sum_r", "median_r", "best_r", "worst_r"),
    *("max_drawdown_r", "max_drawdown_ratio", "exposure_ratio", "net_usd", "gross_usd", "fees_usd", "funding_usd"),
    *("slippage_usd", "turnover_usd", "average_hold_min", "average_cost_r", "signals", "plans", "bars"),
    *("fees_r", "closed_drawdown_r", "neighbours_median_r", "neighbours_worst_r"),
)
_FOLD = {"psi": 0.1, "train_from_ms": 1758880800000, "train_to_ms": 1759226400000, "test_to_ms": 1759399200000}


def _hour(hour: int) -> HourResult:
    return HourResult(
        hour=hour,
        theta=0.3,
        chosen=0.3,
        is_accepted=True,
        is_dead=False,
        pf_in=1.2,
        pf_out=None,
        trades_in=20,
        trades_out=4,
        why="",
    )


def _found(kind: str) -> dict[str, Any]:
    """What a finished run of this kind keeps, as far as anybody reads it."""
    measures = dict.fromkeys(_MEASURES, 1.5)
    if kind == "backtest":
        return {"metrics": measures}
    if kind == "sweep":
        return {"configs": 2, "top": [measures]}
    day = range(24)
    lists = {"thetas": [0.3 for _ in day], "train_pf": [1.1 for _ in day]}
    counts = {"train_trades": [20 for _ in day], "test_trades": [4 for _ in day]}
    hours = {str(hour): 0.3 for hour in day}
    return {
        "recent_psi": 0.1,
        "folds": [{**_FOLD, **lists, **counts}],
        "hours": [asdict(_hour(hour)) for hour in day],
        "calibrated_config": StrategyConfig().replaced({"theta_by_hour": hours}).to_mapping(),
    }


class FuzzWorld(ApiWorld):
    def __init__(self) -> None:
        super().__init__()
        self.admin = self.person("admin")
        self.keyless = make_account()
        self.closed("CCCUSDT", "10", "1")
        held = self.placed()
        self.holding(held)
        Plan.objects.filter(pk=held.pk).update(status=PlanStatus.ACTIVE)
        offered = self.signal("BBBUSDT")
        Signal.objects.filter(pk=offered.pk).update(valid_until=offered.valid_until + timedelta(hours=1))
        finding = self.finding()
        ReconciliationFinding.objects.filter(pk=finding.pk).update(kind="position_foreign")
        halt(account_id=self.account.pk, reason="drill", actor=self.admin)
        rearm(account_id=self.account.pk, to=State.ACTIVE, reason="drill over", actor=self.admin, otp_used=True)
        self.override()
        for kind in ("backtest", "sweep", "calibrate"):
            self.research(kind)

    def stay_fresh(self) -> None:
        """Prices and the sign of life of execution, as of now: nothing is placed on old ones."""
        self.now_ms = to_ms(timezone.now())
        self.publish()
        detail = {"exchange_ms": self.now_ms, "rate_ratio": 1.0, "offset_ms": 0}
        heartbeats.beat(process_name(self.account.pk), detail)

    def person(self, role: str) -> User:
        """With a device and, since people see the keys they added, a key."""
        user = make_user(role, with_device=True)
        own = {"label": f"own of {role}", "key_id": f"fuzzedKey{user.pk:04d}", "secret": "neverReal0001"}
        api_key_add(account=self.account, trial=good_key, actor=user, otp_used=True, **own)
        return user

    def override(self) -> None:
        """A version besides the active one, live although its gate is closed."""
        config = StrategyConfig().replaced({"theta": 0.21})
        version = strategy_version_create(config=config, stage="paper", actor=None, now=NOW, activate=False)
        asked = {"actor": self.admin, "reason": "on purpose", "otp_used": True, "now": NOW}
        change_stage(version_id=version.pk, stage="live", override=True, **asked)

    def research(self, kind: str) -> None:
        """One run that waits and two that are done."""
        params: dict[str, Any] = {"symbols": ["TESTUSDT"]}
        if kind == "sweep":
            params["axes"] = {"theta": [0.15, 0.2]}
        waiting = research_start(kind=kind, params=params, actor="test", now=NOW)
        for _ in range(2):
            ResearchRun.objects.create(
                kind=kind,
                params=waiting.params,
                config=waiting.config,
                config_hash=waiting.config_hash,
                status="done",
                shards_done=1,
                result=_found(kind),
                report_html="<p>report</p>",
                created_at=NOW,
                touched_at=NOW,
                ended_at=NOW,
            )


def open_doors(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Throttles off, every code right, quick passwords: what is asked is to reach what lies behind the doors."""
    django_cache.clear()
    rates: dict[str, str | None] = dict.fromkeys(SimpleRateThrottle.THROTTLE_RATES, None)
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", rates)
    monkeypatch.setattr(api_door, "code_prove", lambda **asked: True)
    settings.KEY_TRIAL_CALL = "tests.support.api_world.good_key"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
