"""What must hold of the verdict for every request, snapshot and set of limits."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from risk.core.limits import RiskLimits, loosened
from risk.core.request import OrderLine, RequestKind, RiskRequest
from risk.core.snapshot import (
    DayResult,
    Freshness,
    Guards,
    LastEntry,
    OpenPlan,
    Reconciliation,
    Snapshot,
    SymbolState,
)
from risk.core.states import Environment, Stage, State
from risk.core.verdict import Ruling, Verdict, evaluate
from tests.support.risk import NOW_MS

RANK = {Ruling.DENY: 0, Ruling.QUEUE: 1, Ruling.ALLOW: 2}
BASES = ("BTC", "ETH", "SOL")
MARK = Decimal(1_000)

directions = st.sampled_from((1, -1))
ages_ms = st.integers(0, 700_000)


def decimals(low: int, high: int, places: int = 2) -> st.SearchStrategy[Decimal]:
    return st.integers(low * 10**places, high * 10**places).map(lambda n: Decimal(n).scaleb(-places))


lines = st.lists(
    st.builds(
        OrderLine,
        quantity=decimals(0, 2, 1).filter(bool),
        price=st.one_of(st.none(), decimals(930, 1_070, 0)),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@st.composite
def requests(draw: st.DrawFn, kind: RequestKind | None = None) -> RiskRequest:
    direction = draw(directions)
    base = draw(st.sampled_from(BASES))
    return RiskRequest(
        kind=kind or draw(st.sampled_from(list(RequestKind))),
        symbol=f"{base}USDT",
        base_coin=base,
        direction=direction,
        mark_price=MARK,
        lines=draw(lines),
        qty_step=Decimal("0.1"),
        tick_size=Decimal(1),
        risk_usd=draw(decimals(0, 25)),
        stop_price=MARK - direction * draw(decimals(-2, 90, 0)),
        current_stop_price=draw(st.one_of(st.none(), decimals(900, 1_100, 0))),
        leverage=draw(decimals(1, 6, 0)),
        position_qty=draw(decimals(0, 3, 1)),
        resting_exit_qty=draw(decimals(0, 1, 1)),
    )


@st.composite
def plans(draw: st.DrawFn) -> OpenPlan:
    base = draw(st.sampled_from(BASES))
    return OpenPlan(
        plan_id=draw(st.integers(1, 99)),
        symbol=f"{base}USDT",
        base_coin=base,
        direction=draw(directions),
        risk_usd=draw(decimals(0, 40)),
        notional_usd=draw(decimals(0, 20_000)),
        quantity=draw(decimals(0, 5, 1)),
        margin_usd=draw(decimals(0, 2_000)),
    )


guards = st.builds(
    Guards,
    account_state=st.sampled_from([State.ACTIVE, State.ACTIVE, State.REDUCING, State.HALTED]),
    symbol_states=st.lists(
        st.builds(SymbolState, st.sampled_from([f"{base}USDT" for base in BASES]), st.sampled_from(list(State))),
        max_size=2,
    ).map(tuple),
    peak_equity_usd=st.one_of(st.none(), decimals(9_000, 14_000)),
    stop_streak=st.integers(0, 6),
    last_stop_ms=st.one_of(st.none(), st.integers(0, 5_000_000).map(lambda ago: NOW_MS - ago)),
    open_loss_at_midnight_usd=decimals(0, 20),
)

snapshots = st.builds(
    Snapshot,
    account_id=st.just(1),
    environment=st.sampled_from(list(Environment)),
    stage=st.sampled_from([Stage.LIVE, Stage.LIVE, Stage.PAPER, Stage.VALIDATION]),
    equity_usd=decimals(0, 12_000),
    available_usd=decimals(0, 12_000),
    initial_margin_usd=decimals(0, 4_000),
    maintenance_margin_usd=decimals(0, 400),
    isolated_margin=st.booleans(),
    open_plans=st.lists(plans(), max_size=5).map(tuple),
    last_entries=st.lists(
        st.builds(
            LastEntry,
            st.sampled_from([f"{base}USDT" for base in BASES]),
            directions,
            ages_ms.map(lambda a: NOW_MS - a * 2),
        ),
        max_size=2,
    ).map(tuple),
    day=st.builds(DayResult, decimals(-120, 50), decimals(0, 60)),
    freshness=st.tuples(ages_ms, st.integers(0, 11_000)).map(
        lambda age: tuple(Freshness(f"{base}USDT", NOW_MS - age[1], NOW_MS - age[0]) for base in BASES)
    ),
    reconciliation=st.builds(Reconciliation, st.integers(0, 130_000).map(lambda a: NOW_MS - a), st.booleans()),
    orders_last_minute=st.integers(0, 62),
    orders_today=st.integers(0, 5_001),
    clock_offset_ms=st.integers(-1_100, 1_100),
    unavailable=st.sampled_from([(), (), (), ("redis",)]),
    guards=guards,
)


@st.composite
def limits(draw: st.DrawFn) -> RiskLimits:
    yellow, orange, red = sorted(draw(st.lists(decimals(1, 60, 0), min_size=3, max_size=3)))
    return RiskLimits(
        r_usd=draw(decimals(5, 60, 0)),
        max_plan_risk_r=draw(decimals(1, 3, 1)),
        max_concurrent=draw(st.integers(0, 8)),
        max_total_risk_r=draw(decimals(1, 10, 1)),
        max_per_base=draw(st.integers(0, 3)),
        max_per_symbol_risk_r=draw(decimals(1, 6, 1)),
        anti_churn_s=draw(st.integers(0, 1_500)),
        daily_loss_r=draw(decimals(1, 10, 1)),
        drawdown_yellow_ratio=yellow / 100,
        drawdown_orange_ratio=orange / 100,
        drawdown_red_ratio=red / 100,
        loss_streak_stops=draw(st.integers(1, 7)),
        loss_streak_pause_min=draw(st.integers(1, 90)),
        max_leverage=draw(decimals(1, 8, 0)),
        max_plan_notional_usd=draw(decimals(100, 10_000, 0)),
        max_symbol_notional_usd=draw(decimals(100, 50_000, 0)),
        max_margin_ratio=draw(decimals(1, 9, 0)) / 10,
        liquidation_stop_multiple=draw(decimals(1, 4, 0)),
        orders_per_minute=draw(st.integers(1, 70)),
        orders_per_day=draw(st.integers(1, 5_100)),
        book_max_age_s=draw(st.integers(1, 20)),
        bars_max_age=draw(st.integers(1, 4)),
        reconciliation_max_age_s=draw(st.integers(1, 200)),
        max_price_deviation_ratio=draw(decimals(1, 9, 0)) / 100,
        max_clock_offset_ms=draw(st.integers(1, 1_500)),
    )


def _codes(verdict: Verdict) -> set[str]:
    return {outcome.code for outcome in verdict.refusals}


LARGER_IS_STRICTER = {"anti_churn_s", "loss_streak_pause_min", "liquidation_stop_multiple"}
# A larger R makes every limit in R a larger sum of USD, so R itself counts among the ordinary ones.


def _tightest(one: RiskLimits, other: RiskLimits) -> RiskLimits:
    names = [name for name in RiskLimits.__slots__ if name not in ("flatten_on_red", "halt_on_critical")]
    picked = {
        name: (max if name in LARGER_IS_STRICTER else min)(getattr(one, name), getattr(other, name)) for name in names
    }
    return RiskLimits(**picked)


@given(requests(), snapshots, limits(), limits())
def test_tighter_limits_never_allow_more(
    request: RiskRequest, seen: Snapshot, one: RiskLimits, other: RiskLimits
) -> None:
    tight = _tightest(one, other)
    assert loosened(one, tight) == ()
    loose_verdict = evaluate(request, seen, one, NOW_MS)
    tight_verdict = evaluate(request, seen, tight, NOW_MS)
    assert _codes(loose_verdict) <= _codes(tight_verdict)
    assert RANK[tight_verdict.ruling] <= RANK[loose_verdict.ruling]


@given(requests(), snapshots, limits(), plans())
def test_one_more_open_plan_never_turns_a_refusal_into_an_allow(
    request: RiskRequest, seen: Snapshot, given_limits: RiskLimits, extra: OpenPlan
) -> None:
    before = evaluate(request, seen, given_limits, NOW_MS)
    fuller = replace(seen, open_plans=(*seen.open_plans, extra))
    after = evaluate(request, fuller, given_limits, NOW_MS)
    assert _codes(before) <= _codes(after)
    assert RANK[after.ruling] <= RANK[before.ruling]


@given(requests(), snapshots, st.sampled_from(list(State)), st.sampled_from(list(State)))
def test_the_stricter_of_account_and_symbol_wins(
    request: RiskRequest, seen: Snapshot, account: State, symbol: State
) -> None:
    def ruling(account_state: State, symbol_state: State) -> tuple[Ruling, set[str]]:
        states = replace(
            seen.guards, account_state=account_state, symbol_states=(SymbolState(request.symbol, symbol_state),)
        )
        verdict = evaluate(request, replace(seen, guards=states), RiskLimits(), NOW_MS)
        return verdict.ruling, _codes(verdict)

    order = [State.ACTIVE, State.REDUCING, State.HALTED]
    stricter = order[max(order.index(account), order.index(symbol))]
    assert ruling(account, symbol) == ruling(stricter, stricter) == ruling(symbol, account)


def _mirrored(price: Decimal | None) -> Decimal | None:
    return None if price is None else 2 * MARK - price


@given(requests(), snapshots, limits())
def test_long_and_short_are_mirror_images(request: RiskRequest, seen: Snapshot, given_limits: RiskLimits) -> None:
    # Notional and isolated liquidation are ratios of price, which a reflection does not keep: both get out of the way.
    wide = replace(given_limits, max_plan_notional_usd=Decimal(10**9), max_symbol_notional_usd=Decimal(10**9))
    wide = replace(wide, max_leverage=Decimal(10**6), max_margin_ratio=Decimal(10**6))
    seen = replace(
        seen,
        isolated_margin=False,
        equity_usd=seen.equity_usd + 1,
        available_usd=Decimal(10**9),
        open_plans=tuple(replace(plan, margin_usd=Decimal(0)) for plan in seen.open_plans),
    )
    request = replace(request, maintenance_margin_ratio=Decimal(0))
    mirror_request = replace(
        request,
        direction=-request.direction,
        lines=tuple(replace(line, price=_mirrored(line.price)) for line in request.lines),
        stop_price=_mirrored(request.stop_price),
        current_stop_price=_mirrored(request.current_stop_price),
    )
    mirror_seen = replace(
        seen,
        open_plans=tuple(replace(plan, direction=-plan.direction) for plan in seen.open_plans),
        last_entries=tuple(replace(entry, direction=-entry.direction) for entry in seen.last_entries),
    )
    verdict = evaluate(request, seen, wide, NOW_MS)
    mirror = evaluate(mirror_request, mirror_seen, wide, NOW_MS)
    # A long's liquidation price may fall below zero, where there is none; a short's never does.
    assert _codes(verdict) - {"liquidation"} == _codes(mirror) - {"liquidation"}
    assert verdict.available_at_ms == mirror.available_at_ms or "liquidation" in _codes(verdict) | _codes(mirror)


@given(requests(), snapshots, limits(), st.integers(0, 20_000_000))
def test_every_check_is_listed_and_the_verdict_follows_from_them(
    request: RiskRequest, seen: Snapshot, given_limits: RiskLimits, later_ms: int
) -> None:
    verdict = evaluate(request, seen, given_limits, NOW_MS + later_ms)
    assert len(verdict.outcomes) == 26
    assert all(outcome.sentence for outcome in verdict.outcomes)
    assert verdict.allowed is all(outcome.passed for outcome in verdict.outcomes)
    assert (verdict.available_at_ms is not None) is (verdict.ruling is Ruling.QUEUE)
    if verdict.available_at_ms is not None:
        assert verdict.available_at_ms > NOW_MS + later_ms


small_openings = st.builds(
    lambda base, direction, distance, tenths: RiskRequest(
        kind=RequestKind.OPEN,
        symbol=f"{base}USDT",
        base_coin=base,
        direction=direction,
        mark_price=MARK,
        lines=(OrderLine(Decimal(tenths) / 10, MARK),),
        stop_price=MARK - direction * distance,
    ),
    base=st.sampled_from(("BTC", "ETH", "SOL", "BNB", "XRP", "ADA")),
    direction=directions,
    distance=st.integers(10, 60).map(Decimal),
    tenths=st.integers(1, 6),
)
exposure_limits = st.builds(
    RiskLimits,
    max_concurrent=st.integers(0, 7),
    max_total_risk_r=decimals(1, 6, 1),
    max_per_base=st.integers(1, 3),
    max_per_symbol_risk_r=decimals(1, 3, 1),
    max_plan_risk_r=decimals(1, 2, 1),
)


@given(st.lists(small_openings, min_size=1, max_size=25), exposure_limits)
def test_no_order_of_placements_passes_a_limit(wishes: list[RiskRequest], given_limits: RiskLimits) -> None:
    seen = Snapshot(
        account_id=1,
        environment=Environment.MAINNET,
        stage=Stage.LIVE,
        equity_usd=Decimal(100_000),
        available_usd=Decimal(100_000),
        freshness=tuple(Freshness(wish.symbol, NOW_MS, NOW_MS) for wish in wishes),
        reconciliation=Reconciliation(NOW_MS, good=True),
    )
    r_usd = given_limits.r_usd
    for number, wish in enumerate(wishes):
        risk_usd = wish.quantity * abs(MARK - (wish.stop_price or MARK))
        plans_before = seen.open_plans
        fits = (
            len(plans_before) < given_limits.max_concurrent
            and risk_usd <= given_limits.max_plan_risk_r * r_usd
            and sum(plan.risk_usd for plan in plans_before) + risk_usd <= given_limits.max_total_risk_r * r_usd
            and sum(plan.risk_usd for plan in plans_before if plan.symbol == wish.symbol) + risk_usd
            <= given_limits.max_per_symbol_risk_r * r_usd
            and all((plan.symbol, plan.direction) != (wish.symbol, wish.direction) for plan in plans_before)
            and sum(plan.symbol == wish.symbol for plan in plans_before) < given_limits.max_per_base
        )
        assert evaluate(wish, seen, given_limits, NOW_MS).allowed is fits
        if fits:
            held = OpenPlan(
                number, wish.symbol, wish.base_coin, wish.direction, risk_usd, wish.notional_usd, wish.quantity
            )
            seen = replace(seen, open_plans=(*plans_before, held))
