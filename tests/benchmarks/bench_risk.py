"""A risk decision with 50 open plans: the pure verdict, and `decide` with lock, queries and the stored record.

Run: python -m tests.benchmarks.bench_risk [rounds]. Works in a database of its own that is dropped at the end.
Aim: p95 <= 5 ms for the whole decision.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import django

from risk.core.limits import RiskLimits
from risk.core.snapshot import Guards, Snapshot, SymbolState
from risk.core.states import State, StateSource
from risk.core.verdict import evaluate
from tests.support.risk import NOW_MS, opening, plan, snapshot

PLANS = 50


def busy_snapshot() -> Snapshot:
    plans = tuple(
        replace(plan(number, base=f"B{number // 2}", direction=1 if number % 2 else -1, risk_usd=1), plan_id=number)
        for number in range(PLANS)
    )
    return snapshot(open_plans=plans)


def percentiles(work: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """(p50, p95, max) in ms, after a tenth of the rounds as warm-up."""
    for _ in range(rounds // 10):
        work()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return taken[rounds // 2], taken[int(rounds * 0.95)], taken[-1]


def measure(rounds: int) -> dict[str, tuple[float, float, float]]:
    """Rows by name. In life the commit also carries the plan and its intents, so it is measured apart."""
    from django.db import transaction

    from accounts.models import TradingAccount
    from risk.services import decide, limits_update, state_change
    from risk.services.account_lock import account_lock

    account = TradingAccount.objects.create(label="benchmark", environment="simulated")
    limits_update(account_id=account.pk, changes={"max_concurrent": 3}, actor="benchmark", reason="a row to read")
    state_change(
        account_id=account.pk,
        symbol="BTCUSDT",
        to=State.REDUCING,
        source=StateSource.COMMAND,
        reason="a row to read",
        actor="benchmark",
    )
    seen, request, limits = busy_snapshot(), opening(), RiskLimits()
    guarded = replace(seen, guards=Guards(symbol_states=(SymbolState("BTCUSDT", State.REDUCING),)))

    def decided() -> None:
        account_lock(account_id=account.pk)
        decide(account_id=account.pk, request=request, snapshot=seen, now_ms=NOW_MS)

    def committed() -> None:
        with transaction.atomic():
            decided()

    rows = {"evaluate (pure)": percentiles(lambda: evaluate(request, guarded, limits, NOW_MS), rounds)}
    with transaction.atomic():
        rows["lock + decide + store"] = percentiles(decided, rounds)
    rows["the same with its commit"] = percentiles(committed, rounds)
    return rows


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.bench")
    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        rows = measure(rounds)
    finally:
        teardown_databases(databases, verbosity=0)
    print(f"{PLANS} open plans, {rounds} rounds; ms")
    for name, (p50, p95, worst) in rows.items():
        print(f"{name:26} p50 {p50:7.3f}  p95 {p95:7.3f}  max {worst:7.3f}")


if __name__ == "__main__":
    main()
