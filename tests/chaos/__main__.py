"""`python -m tests.chaos --rounds N --seed S`: prints one JSON object, exits 1 where an invariant broke.

Each round: a fault of the exchange, trading, a kill (a process, a server, or the execution process at a marked fault
point), more trading, faults off, restart; then both sides must agree within the patience.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.servers import Servers

PATIENCE_S = 90.0
"""An order cut off before it was sent leaves no trace, and is given up only after its evidence window of 60 s."""
VICTIMS = ("execution", "execution", "fault_point", "fault_point", "market_data", "worker", "web", "postgres", "redis")


class Chaos:
    def __init__(self, rounds: int, seed: int, *, verbose: bool) -> None:
        self.rounds = rounds
        self.seed = seed
        self.rng = random.Random(seed)
        self.verbose = verbose
        self.killed: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.recovery_s: list[float] = []
        self.restart_s: list[float] = []
        self.halts = 0

    def run(self) -> dict[str, object]:
        self.servers = Servers()
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev")
        os.environ["AVIGRID_DEMO"] = "true"
        os.environ.setdefault("AVIGRID_LOG_LEVEL", "ERROR")
        import django

        django.setup()
        from trading.runtime.launch import Desk, DeskOptions

        self.desk = Desk(DeskOptions(kind="chaos", port=0, speed=1.0, symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT")))
        breaches: list[str] = []
        survived = 0
        try:
            self._start()
            for number in range(1, self.rounds + 1):
                breaches = self._round(number)
                if breaches:
                    break
                survived += 1
        finally:
            self.desk.stop()
            self.servers.stop()
        return {
            "seed": self.seed,
            "rounds": self.rounds,
            "survived": survived,
            "breaches": breaches,
            "killed": dict(self.killed),
            "faults": dict(self.faults),
            "halts_ended": self.halts,
            "plans_placed": self.trader.placed,
            "refused": self.trader.refused,
            "recovery_s_median": _median(self.recovery_s),
            "recovery_s_max": max(self.recovery_s, default=0.0),
            "execution_restart_s_median": _median(self.restart_s),
            "execution_restart_s_max": max(self.restart_s, default=0.0),
        }

    def _start(self) -> None:
        from avigrid.exchange.bybit.connect import connect, settle_clock
        from avigrid.exchange.bybit.environments import Endpoints
        from tests.chaos.trader import Trader
        from tests.chaos.wire import Wire
        from trading.avi5.config import StrategyConfig
        from trading.services.demo_data import demo_data_create

        desk = self.desk
        desk.start_servers()
        desk.start_exchange()
        data = demo_data_create(
            base_url=desk.simulator_url,
            api_key=desk.api_key,
            api_secret=desk.api_secret,
            hedge_mode=True,
            symbols=desk.options.symbols,
            config=StrategyConfig(),
        )
        self.account_id = data.account_id
        self._loosen_limits()
        desk.start_processes(account_id=data.account_id, symbols=data.symbols)
        client = connect(
            Endpoints.simulated(desk.simulator_url), api_key=desk.api_key, api_secret=desk.api_secret, account="chaos"
        )
        settle_clock(client.clock, simulated=True)
        self.wire = Wire(desk.simulator_url)
        self.trader = Trader(data.account_id, client, self.wire, data.symbols, random.Random(self.seed + 1))
        self._until(self._is_ready, 60.0, "the first start")

    def _loosen_limits(self) -> None:
        """So that trading goes on round after round: churn, streaks and losses are not what is examined here."""
        from decimal import Decimal

        from risk.services.limits import limits_update

        changes: dict[str, Decimal | int | bool] = {
            "anti_churn_s": 0,
            "daily_loss_r": Decimal(100_000),
            "loss_streak_stops": 100_000,
            "orders_per_minute": 100_000,
            "orders_per_day": 1_000_000,
            "max_concurrent": 6,
            "max_total_risk_r": Decimal(8),
            "drawdown_yellow_ratio": Decimal("0.90"),
            "drawdown_orange_ratio": Decimal("0.91"),
            "drawdown_red_ratio": Decimal("0.92"),
        }
        limits_update(account_id=self.account_id, changes=changes, actor="chaos", reason="chaos run", otp_used=True)

    def _round(self, number: int) -> list[str]:
        from django.db import connection

        victim = self.rng.choice(VICTIMS)
        fault = ""
        if self.rng.random() < 0.8:
            fault = self._try(lambda: self.wire.random_fault(self.rng)) or ""
            self.faults[fault] += 1
        if victim == "fault_point":
            victim = self._arm_fault_point()
        self._trade(self.rng.uniform(1.0, 3.0))
        self._kill(victim)
        self._trade(self.rng.uniform(0.5, 1.5))
        self._revive(victim)
        self.killed[victim] += 1
        self._try(self.wire.clear)
        connection.close()
        began_s = time.monotonic()
        self._until(self._rearmed, PATIENCE_S, "the database", soft=True)
        breaches = self._agree()
        self.recovery_s.append(round(time.monotonic() - began_s, 2))
        if self.verbose or breaches:
            say = f"round {number}: killed {victim}, fault {fault or 'none'}, agreed after {self.recovery_s[-1]} s"
            print(say if not breaches else f"{say}: {breaches}", file=sys.stderr, flush=True)
        return breaches

    # -- killing ------------------------------------------------------------------------------------------------

    def _arm_fault_point(self) -> str:
        from trading.runtime.faults import POINTS

        point = f"{self.rng.choice(POINTS)}:{self.rng.randint(1, 3)}"
        child = self.desk.supervisor.children["execution"]
        child.env = {**child.env, "AVIGRID_FAULT_POINT": point}
        child.signal_group(signal.SIGKILL)
        self._until(lambda: self._is_ready() or child.restarts and child.process.poll() == 137, 40.0, point, soft=True)
        return f"execution at {point.split(':')[0]}"

    def _kill(self, victim: str) -> None:
        if victim == "postgres":
            self.servers.kill_postgres()
        elif victim == "redis":
            self.servers.kill_redis()
        else:
            self.desk.supervisor.children[victim.split(" ")[0]].signal_group(signal.SIGKILL)

    def _revive(self, victim: str) -> None:
        if victim == "postgres":
            self.servers.start_postgres()
        elif victim == "redis":
            self.servers.start_redis()
        child = self.desk.supervisor.children["execution"]
        if "AVIGRID_FAULT_POINT" in child.env:
            child.env = {key: value for key, value in child.env.items() if key != "AVIGRID_FAULT_POINT"}
            child.signal_group(signal.SIGKILL)
        for each in self.desk.supervisor.children.values():
            each._falls = 0
            if each.restart_at is not None:
                each.restart_at = time.monotonic()
        began_s = time.monotonic()
        self.desk.supervisor.tend()
        if victim.startswith("execution"):
            self._until(self._is_ready, PATIENCE_S, "execution", soft=True)
            self.restart_s.append(round(time.monotonic() - began_s, 2))

    def _rearmed(self) -> bool:
        """A halt (the watchdog's, after a long silence) is an operator's to end: the harness plays that part."""
        from risk.core.states import State
        from risk.selectors.guards import effective_state
        from risk.services.states import rearm

        if effective_state(self.account_id) is not State.ACTIVE:
            self.halts += 1
            rearm(account_id=self.account_id, reason="chaos goes on", actor="chaos", otp_used=True)
        return True

    # -- waiting ------------------------------------------------------------------------------------------------

    def _trade(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.trader.act()
            self.desk.supervisor.tend()
            time.sleep(0.15)

    def _is_ready(self) -> bool:
        from avigrid.common import heartbeats
        from trading.selectors.exchange_time import process_name

        lives = {life.process: life for life in heartbeats.lives()}
        life = lives.get(process_name(self.account_id))
        pid = self.desk.supervisor.children["execution"].pid
        return life is not None and life.pid == pid and bool(life.detail.get("is_ready")) and life.age_s < 3

    def _agree(self) -> list[str]:
        """[] once both sides say the same and nothing is in flight."""
        from tests.chaos.invariants import breaches, settled

        def agreed() -> bool:
            return self._is_ready() and settled(self.account_id, self.wire.state())

        if self._until(agreed, PATIENCE_S, "agreement", soft=True):
            return []
        return breaches(self.account_id, self.wire.state()) or [
            "an order stayed in doubt, or execution did not come back"
        ]

    def _until(self, condition: Callable[[], object], timeout_s: float, what: str, *, soft: bool = False) -> bool:
        end = time.monotonic() + timeout_s
        while True:
            self.desk.supervisor.tend()
            if self._try(condition):
                return True
            if time.monotonic() > end:
                if soft:
                    return False
                raise TimeoutError(f"{what} was not there within {timeout_s:.0f} s")
            time.sleep(0.1)

    @staticmethod
    def _try[Answer](question: Callable[[], Answer]) -> Answer | None:
        from django.db import InterfaceError, OperationalError, connection

        try:
            return question()
        except (OperationalError, InterfaceError):
            connection.close()
        except OSError:
            pass
        return None


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="one line a round")
    options = parser.parse_args()
    report = Chaos(options.rounds, options.seed, verbose=options.verbose).run()
    print(json.dumps(report, indent=2))
    return 0 if report["survived"] == options.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
