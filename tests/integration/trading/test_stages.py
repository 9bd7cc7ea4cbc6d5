"""Validation, paper, live: who may move a version, on which proof, and what the order path makes of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.models import AuditEntry, TradingAccount
from avigrid.kernel.errors import Rejected
from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user
from trading.avi5.config import StrategyConfig
from trading.models import Decision, ModelledPlan, Order, OutboxEvent, Plan, Signal, Stage, StageChange, StrategyVersion
from trading.runtime.breakers import Breakers
from trading.runtime.sending import Sender
from trading.selectors.stages import stage_changes, stage_in_force, standing_override
from trading.services.place_preview import place_preview
from trading.services.placing import signal_place
from trading.services.stages import change_stage, override_withdraw
from trading.services.strategy_versions import strategy_version_activate, strategy_version_create
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def world(settings: Any) -> ApiWorld:
    cache.clear()
    settings.AVIGRID = {**settings.AVIGRID, "MARKET_ENVIRONMENT": "mainnet"}
    return ApiWorld()


def _move(world: ApiWorld, stage: str, **changes: Any) -> StageChange:
    asked = {"actor": make_user("admin"), "reason": "the desk decided so", "otp_used": True, "now": NOW, **changes}
    return change_stage(version_id=world.version.pk, stage=stage, **asked)


def _prove(
    world: ApiWorld,
    *,
    days: float = 30,
    rs: tuple[float, ...] = (1.0, -0.5),
    gap_bps: float = 1.0,
    market: str = "mainnet",
) -> None:
    """Decisions on `days` of bars and forty modelled plans in turn of `rs`."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    decisions = [
        Decision(
            strategy=world.version,
            symbol="BBBUSDT",
            bar_start=first + timedelta(minutes=5 * number),
            decided_at=first,
            status="no_signal",
        )
        for number in range(int(days * 288))
    ]
    Decision.objects.bulk_create(decisions)
    for number, decision in enumerate(decisions[:40]):
        offer = Signal.objects.create(
            decision=decision,
            symbol="BBBUSDT",
            direction=1,
            profile="swing",
            entry_price=100,
            stop_price=90,
            spec={},
            risk_usd=20,
            status="expired",
            created_at=first,
            valid_until=first,
        )
        ModelledPlan.objects.create(
            signal=offer,
            strategy=world.version,
            symbol="BBBUSDT",
            direction=1,
            status="closed",
            decided_at=decision.bar_start,
            last_bar=decision.bar_start,
            closed_at=decision.bar_start,
            r_usd=100,
            r=rs[number % len(rs)],
            modelled_slippage_bps=2.0 + gap_bps,
            observed_slippage_bps=2.0,
            market=market,
        )


def _live_on_mainnet(world: ApiWorld) -> None:
    TradingAccount.objects.filter(pk=world.account.pk).update(environment="mainnet")


# -- the gate ----------------------------------------------------------------------------------------------------------


def test_live_is_refused_until_every_threshold_is_met(world: ApiWorld) -> None:
    with pytest.raises(Rejected, match="days of validation, at least 30") as refused:
        _move(world, "live")
    assert refused.value.code == "not_validated"
    assert refused.value.details["missing"] == [
        "days",
        "trades",
        "win_rate",
        "profit_factor",
        "max_drawdown_r",
        "slippage_gap_bps",
    ]
    world.version.refresh_from_db()
    assert (world.version.stage, StageChange.objects.count()) == ("paper", 0)
    _prove(world)
    change = _move(world, "live")
    assert (change.before, change.after, change.is_override) == ("paper", "live", False)
    assert [check["passed"] for check in change.evidence["checks"]] == [True] * 7
    world.version.refresh_from_db()
    assert stage_in_force(world.version) == "live"
    assert standing_override() is None
    entry = AuditEntry.objects.get(action="strategy.stage_changed")
    assert (entry.before, entry.otp_used) == ({"stage": "paper"}, True)


@pytest.mark.parametrize(
    ("proof", "missing"),
    [
        ({"days": 29}, ["days"]),
        ({"rs": (2.0, -0.5, -0.5)}, ["win_rate"]),
        ({"rs": (1.0, -0.9)}, ["profit_factor"]),
        ({"gap_bps": 5.5}, ["slippage_gap_bps"]),
        ({"gap_bps": -5.5}, ["slippage_gap_bps"]),
        ({"market": "simulated"}, ["real_market"]),
        ({"market": ""}, ["real_market"]),
    ],
)
def test_one_threshold_missing_is_enough(world: ApiWorld, proof: dict[str, Any], missing: list[str]) -> None:
    _prove(world, **proof)
    with pytest.raises(Rejected) as refused:
        _move(world, "live")
    assert refused.value.details["missing"] == missing


def test_a_simulated_market_proves_nothing(world: ApiWorld, settings: Any) -> None:
    _prove(world)
    settings.AVIGRID = {**settings.AVIGRID, "MARKET_ENVIRONMENT": "simulated"}
    with pytest.raises(Rejected) as refused:
        _move(world, "live")
    assert refused.value.details["missing"] == ["real_market"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"otp_used": False}, "otp_needed"),
        ({"reason": ""}, "reason_needed"),
        ({"actor": "trader"}, "admin_needed"),
    ],
)
@pytest.mark.parametrize("override", [False, True])
def test_only_an_admin_with_code_and_reason(
    world: ApiWorld, changes: dict[str, Any], code: str, override: bool
) -> None:
    _prove(world, days=30 if not override else 1)
    if changes.get("actor") == "trader":
        changes = {"actor": make_user("trader")}
    with pytest.raises(Rejected) as refused:
        _move(world, "live", override=override, **changes)
    assert refused.value.code == code
    assert not StageChange.objects.exists()


def test_an_override_stands_until_it_is_withdrawn(world: ApiWorld) -> None:
    admin = make_user("admin")
    change = _move(world, "live", override=True, actor=admin, reason="small size, watched")
    found = standing_override()
    assert found is not None
    assert (found.change_id, found.reason, found.since) == (change.pk, "small size, watched", NOW)
    assert len(found.missing) == 6
    assert AuditEntry.objects.filter(action="strategy.stage_overridden", reason="small size, watched").count() == 1
    assert OutboxEvent.objects.get(kind="stage_override").severity == "warning"
    with pytest.raises(Rejected) as refused:
        override_withdraw(version_id=world.version.pk, actor=admin, reason="enough", otp_used=False, now=NOW)
    assert refused.value.code == "otp_needed"
    assert standing_override() is not None
    override_withdraw(version_id=world.version.pk, actor=admin, reason="enough", otp_used=True, now=NOW)
    world.version.refresh_from_db()
    assert (world.version.stage, standing_override()) == ("paper", None)
    assert [(row.before, row.after) for row in stage_changes(world.version.pk)] == [
        ("live", "paper"),
        ("paper", "live"),
    ]
    with pytest.raises(Rejected) as refused:
        override_withdraw(version_id=world.version.pk, actor=admin, reason="again", otp_used=True, now=NOW)
    assert refused.value.code == "no_override"


def test_an_override_where_none_is_needed_is_refused(world: ApiWorld) -> None:
    for stage in ("validation", "paper"):
        with pytest.raises(Rejected) as refused:
            _move(world, "validation", override=True)
        assert refused.value.code == "nothing_to_override", stage
    _prove(world)
    with pytest.raises(Rejected) as refused:
        _move(world, "live", override=True)
    assert refused.value.code == "nothing_to_override"


def test_up_one_step_at_a_time_down_any(world: ApiWorld) -> None:
    _move(world, "validation")
    for stage, code in (("live", "stage_step"), ("validation", "stage_same"), ("nonsense", "unknown_stage")):
        with pytest.raises(Rejected) as refused:
            _move(world, stage, override=stage == "live")
        assert refused.value.code == code
    _move(world, "paper")
    _move(world, "live", override=True)
    _move(world, "validation")
    assert standing_override() is None


def test_a_change_of_stage_is_written_once(world: ApiWorld) -> None:
    change = _move(world, "live", override=True)
    for wish in ({"reason": "prettier"}, {"is_override": False}, {"evidence": {}}):
        with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
            StageChange.objects.filter(pk=change.pk).update(**wish)
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        StageChange.objects.filter(pk=change.pk).delete()
    with pytest.raises(DatabaseError, match="never edited"), transaction.atomic():
        StrategyVersion.objects.filter(pk=world.version.pk).update(config={})


def test_no_version_is_born_live_and_a_changed_one_starts_over(world: ApiWorld) -> None:
    with pytest.raises(Rejected) as refused:
        strategy_version_create(config=StrategyConfig(), stage="live", actor=None, now=NOW)
    assert refused.value.code == "born_live"
    _move(world, "live", override=True)
    other = strategy_version_create(config=StrategyConfig(theta=0.4), actor=None, now=NOW)
    assert (other.stage, standing_override()) == ("validation", None)
    strategy_version_activate(version_id=world.version.pk, actor=None, now=NOW)
    assert standing_override() is not None


# -- the order path ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", ["simulated", "demo", "testnet", "mainnet"])
@pytest.mark.parametrize("stage", ["validation", "paper", "live"])
def test_every_stage_in_every_environment(world: ApiWorld, stage: str, environment: str) -> None:
    if stage == "live":
        _move(world, "live", override=True)
    elif stage == "validation":
        _move(world, "validation")
    TradingAccount.objects.filter(pk=world.account.pk).update(environment=environment)
    signal = world.signal()
    preview = place_preview(signal_id=signal.pk, account_id=world.account.pk)
    answer = _place(world, signal)
    allowed = stage == "live" or (stage == "paper" and environment != "mainnet")
    assert answer.placed is allowed, answer
    assert preview.is_placeable is allowed
    assert Order.objects.filter(role="entry").exists() is allowed
    assert Plan.objects.exists() is allowed
    if not allowed:
        assert answer.refused == ("stage",)
        assert "stage" in answer.sentence


def test_a_row_that_merely_says_live_is_not_live(world: ApiWorld) -> None:
    """As a restored dump, a migration or somebody with a database shell would leave it."""
    StrategyVersion.objects.filter(pk=world.version.pk).update(stage=Stage.LIVE)
    _live_on_mainnet(world)
    answer = _place(world, world.signal())
    assert (answer.placed, answer.refused) == (False, ("stage",))
    assert not Plan.objects.exists()


def test_falling_back_stops_the_next_entry_and_cancels_those_that_rest(world: ApiWorld) -> None:
    _move(world, "live", override=True)
    _live_on_mainnet(world)
    placed = _place(world, world.signal())
    assert placed.placed, placed
    plan = Plan.objects.get(pk=placed.plan_id)
    assert not plan.entries_cancelled
    override_withdraw(version_id=world.version.pk, actor=make_user("admin"), reason="too early", otp_used=True, now=NOW)
    plan.refresh_from_db()
    assert plan.entries_cancelled or not plan.is_open
    assert set(Order.objects.filter(plan=plan, role="entry").values_list("status", flat=True)) == {"cancelled"}
    answer = _place(world, world.signal("BBBUSDT"))
    assert (answer.placed, answer.refused) == (False, ("stage",))


def test_falling_back_to_paper_leaves_paper_accounts_alone(world: ApiWorld) -> None:
    _move(world, "live", override=True)
    placed = _place(world, world.signal())
    assert placed.placed
    _move(world, "paper")
    assert not Plan.objects.get().entries_cancelled
    _move(world, "validation")
    plan = Plan.objects.get()
    assert plan.entries_cancelled or not plan.is_open


@pytest.mark.parametrize(("environment", "stage"), [("mainnet", "paper"), ("demo", "validation")])
def test_an_entry_on_its_way_is_withdrawn_where_the_stage_fell_meanwhile(
    world: ApiWorld, environment: str, stage: str
) -> None:
    """Whoever changed the row: the stage is asked for again where an entry would be sent."""
    _move(world, "live", override=True)
    TradingAccount.objects.filter(pk=world.account.pk).update(environment=environment)
    placed = [_place(world, world.signal(symbol)) for symbol in ("AAAUSDT", "BBBUSDT")]
    first, second = (Order.objects.select_related("plan").get(plan_id=one.plan_id, role="entry") for one in placed)
    context: Any = SimpleNamespace(
        account_id=world.account.pk, environment=environment, redis_down=False, now=timezone.now, breakers=Breakers()
    )
    sender = Sender(context, entries_ready=True)
    assert sender._may_send(first, Decimal(100))
    StrategyVersion.objects.filter(pk=world.version.pk).update(stage=stage)
    assert not sender._may_send(second, Decimal(100))
    second.refresh_from_db()
    assert second.status == "cancelled"
    assert "stage" in second.events.latest("id").evidence


def _place(world: ApiWorld, signal: Signal) -> Any:
    return signal_place(
        signal_id=signal.pk, account_id=world.account.pk, user=None, actor="test", now=from_ms(world.now_ms)
    )


def test_the_top_bar_of_every_page_shows_an_override(world: ApiWorld, client: Any) -> None:
    viewer = login(client, make_user("viewer"))
    assert "live by override" not in viewer.get("/").content.decode()
    _move(world, "live", override=True, reason="watched by two")
    page = viewer.get("/").content.decode()
    assert "live by override" in page
    assert "watched by two" in page
    _move(world, "paper")
    assert "live by override" not in viewer.get("/").content.decode()
