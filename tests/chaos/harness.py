"""The rounds themselves: trade, kill, trade on, bring back, and then both sides must agree within the patience."""

import os
import random
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal

from tests.chaos.report import Tally
from tests.chaos.schedule import AT_START, PROCESSES, Round, explained, schedule
from tests.chaos.servers import Servers

PATIENCE_S = 90.0
"""An order cut off before it was sent leaves no trace, and is given up only after its evidence window of 60 s."""
POINT_PATIENCE_S = 12.0
_LOOK_EVERY_S = 0.3
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
_WANTED = {
    "after_cancel": "stop_buying",
    "before_set_stop": "break_even",
    "after_set_stop": "break_even",
}
"""What an operator does that leads to a rarely visited point."""


class Chaos:
    def __init__(self, rounds: int, seed: int, *, verbose: bool, name: str = "chaos") -> None:
        self.rounds = rounds
        self.seed = seed
        self.verbose = verbose
        self.name = name
        self.tally = Tally()
        self.longest: tuple[float, str] = (0.0, "")
        self.last_change = 0
        self.looked_s = 0.0
        self.halts: list[str] = []
        """Those no round explains."""

    def run(self) -> dict[str, object]:
        began_s = time.monotonic()
        self.servers = Servers(self.name)
        self.fault_file = self.servers.folder / "fault_point"
        self.fault_file.unlink(missing_ok=True)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev")
        os.environ["AVIGRID_DEMO"] = "true"
        os.environ.setdefault("AVIGRID_LOG_LEVEL", "ERROR")
        import django

        django.setup()
        from trading.runtime.launch import Desk, DeskOptions

        self.desk = Desk(DeskOptions(kind=self.name, port=0, speed=1.0, symbols=SYMBOLS))
        breaches: list[str] = []
        survived = 0
        try:
            self._start()
            for turn in schedule(self.rounds, self.seed):
                breaches = self._round(turn)
                if breaches:
                    break
                survived += 1
            traded = self._traded()
        finally:
            self.desk.stop()
            self.servers.stop()
        return {
            "seed": self.seed,
            "rounds": self.rounds,
            "survived": survived,
            "breaches": breaches,
            "took_s": round(time.monotonic() - began_s),
            **self.tally.as_rows(),
            "longest_recovery": {"seconds": self.longest[0], "round": self.longest[1]},
            **traded,
        }

    def _start(self) -> None:
        from avigrid.exchange.bybit.connect import connect, settle_clock
        from avigrid.exchange.bybit.environments import Endpoints
        from tests.chaos.trader import Trader
        from tests.chaos.wire import Wire
        from tests.chaos.witness import Witness
        from trading.avi5.config import StrategyConfig
        from trading.selectors.exchange_time import process_name
        from trading.services.demo_data import demo_data_create

        desk = self.desk
        desk.start_servers()
        desk.env["AVIGRID_FAULT_FILE"] = str(self.fault_file)
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
        self.witness = Witness(process_name(data.account_id))
        self._until(self._is_ready, 60.0, "the first start")
        self._until(lambda: all(self._lives(name) for name in PROCESSES), 60.0, "every process")

    def _loosen_limits(self) -> None:
        """So that trading goes on round after round: churn, streaks and losses are not what is examined here."""
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

    def _round(self, turn: Round) -> list[str]:
        from django.db import connection

        fault = turn.fault
        if fault is not None and self._try(lambda: self.wire.fault(fault)):
            self.tally.faults[str(fault["name"])] += 1
        if turn.fault_point:
            self._arm(turn)
        self._trade(turn.trade_s, _WANTED.get(turn.fault_point, ""))
        is_flattening = turn.flatten and bool(self._try(self.trader.flatten))
        at_point = self._die(turn)
        self._trade(turn.after_s)
        self._revive(turn)
        self.tally.killed_in(turn, at_point=at_point)
        self._try(self.wire.clear)
        connection.close()
        began_s = time.monotonic()
        breaches = self._flat() if is_flattening else []
        self._until(lambda: self._rearmed(turn), PATIENCE_S, "the database", soft=True)
        breaches = breaches or self.halts or self._agree(turn, carry=turn.number < self.rounds)
        self._try(lambda: self._rearmed(turn))
        breaches = breaches or self.halts or self.witness.breaches()
        recovery_s = round(time.monotonic() - began_s, 2)
        self.tally.recovery_s.append(recovery_s)
        self.longest = max(self.longest, (recovery_s, f"{turn.number}: {turn.name}"))
        if self.verbose or breaches:
            name = fault["name"] if fault else "no fault"
            hit = "" if at_point or not turn.fault_point else " (not reached: killed)"
            say = f"round {turn.number}: {turn.name}{hit}, {name}, agreed after {recovery_s} s"
            print(say if not breaches else f"{say}: {breaches}", file=sys.stderr, flush=True)
        return breaches

    # -- killing ------------------------------------------------------------------------------------------------

    def _arm(self, turn: Round) -> None:
        """The running process learns where it is to die; what only happens at a start needs one."""
        self.fault_file.write_text(f"{turn.fault_point}:{turn.visit}:{turn.number}")
        if turn.fault_point in AT_START:
            self.desk.supervisor.children["execution"].signal_group(signal.SIGKILL)

    def _die(self, turn: Round) -> bool:
        """True where the process died at the marked place by itself; otherwise it is killed where it happens to be."""
        if turn.fault_point:
            end = time.monotonic() + POINT_PATIENCE_S
            while self.fault_file.exists() and time.monotonic() < end:
                self._trade(0.3, _WANTED.get(turn.fault_point, ""))
            at_point = not self.fault_file.exists()
            self.fault_file.unlink(missing_ok=True)
            if at_point:
                return True
        if turn.victim == "postgres":
            self.servers.postgres.kill()
        elif turn.victim == "redis":
            self.servers.redis.kill()
        else:
            self.desk.supervisor.children[turn.victim].signal_group(signal.SIGKILL)
        return False

    def _revive(self, turn: Round) -> None:
        if turn.victim == "postgres":
            self.servers.postgres.start()
        elif turn.victim == "redis":
            self.servers.redis.start()
        for each in self.desk.supervisor.children.values():
            each._falls = 0
            if each.restart_at is not None:
                each.restart_at = time.monotonic()
        began_s = time.monotonic()
        self.looked_s = 0.0
        self._tend()
        if turn.victim == "execution":
            self._until(self._is_ready, PATIENCE_S, "execution", soft=True)
            self.tally.restart_s.append(round(time.monotonic() - began_s, 2))

    def _flat(self) -> list[str]:
        """A flatten that was asked for before the kill ends flat after it."""
        if self._until(lambda: not self._held(), PATIENCE_S, "flat", soft=True):
            self.tally.flattened += 1
            return []
        return [f"flatten was asked for, and {', '.join(self._held())} is still held"]

    def _held(self) -> list[str]:
        return [row["symbol"] for row in self.wire.state()["positions"] if Decimal(row["size"] or 0)]

    def _rearmed(self, turn: Round) -> bool:
        """A halt that the round explains is an operator's to end, and the harness is one. Any other is a breach."""
        from risk.core.states import State
        from risk.models import TradingStateChange
        from risk.selectors.guards import effective_state
        from risk.services.states import rearm

        changes = TradingStateChange.objects.filter(account_id=self.account_id, pk__gt=self.last_change).order_by("pk")
        for change in changes:
            self.last_change = change.pk
            if change.after != State.ACTIVE and not explained(turn, change.source):
                self.halts.append(f"{change.symbol or 'account'} {change.after} by {change.source}: {change.reason}")
        if effective_state(self.account_id) is not State.ACTIVE:
            self.tally.halts_ended += 1
            rearm(account_id=self.account_id, reason="chaos goes on", actor="chaos", otp_used=True)
        return True

    # -- waiting ------------------------------------------------------------------------------------------------

    def _trade(self, seconds: float, wanted: str = "") -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.trader.act(wanted)
            self._tend()
            time.sleep(0.15)

    def _is_ready(self) -> bool:
        from avigrid.common import heartbeats
        from trading.selectors.exchange_time import process_name

        lives = {life.process: life for life in heartbeats.lives()}
        life = lives.get(process_name(self.account_id))
        pid = self.desk.supervisor.children["execution"].pid
        return life is not None and life.pid == pid and bool(life.detail.get("is_ready")) and life.age_s < 3

    def _lives(self, name: str) -> bool:
        """It does its work again, not only: it runs."""
        from avigrid.common import heartbeats

        pid = self.desk.supervisor.children[name].pid
        if pid is None:
            return False
        if name == "web":
            with urllib.request.urlopen(f"{self.desk.url}ready", timeout=5) as answer:
                return bool(answer.status == 200)
        if name == "market_data":
            return any(life.pid == pid and life.age_s < 5 for life in heartbeats.lives())
        return True

    def _agree(self, turn: Round, *, carry: bool) -> list[str]:
        """[] once both sides say the same, nothing is in flight, and what was killed works again.

        With `carry` an order that may still appear at the venue goes into the next round as what it is: in doubt.
        """
        from tests.chaos.invariants import breaches, in_doubt, settled

        def agreed() -> bool:
            return (
                self._is_ready()
                and settled(self.account_id, self.wire.state(), carry=carry)
                and (turn.victim not in PROCESSES or self._lives(turn.victim))
            )

        if self._until(agreed, PATIENCE_S, "agreement", soft=True):
            self.tally.carried += in_doubt(self.account_id).count()
            return []
        return breaches(self.account_id, self.wire.state()) or [
            f"an order stayed in doubt, or {turn.victim} did not come back"
        ]

    def _traded(self) -> dict[str, object]:
        from trading.models import Fill, Order, Plan

        return {
            "plans": Plan.objects.count(),
            "orders": Order.objects.count(),
            "fills": Fill.objects.count(),
            "placements_refused": dict(sorted(self.trader.refused.items())),
            "faults_struck": self.wire.state()["faults_struck"],
        }

    def _until(self, condition: Callable[[], object], timeout_s: float, what: str, *, soft: bool = False) -> bool:
        end = time.monotonic() + timeout_s
        while True:
            self._tend()
            if self._try(condition):
                return True
            if time.monotonic() > end:
                if soft:
                    return False
                raise TimeoutError(f"{what} was not there within {timeout_s:.0f} s")
            time.sleep(0.1)

    def _tend(self) -> None:
        """Looks before it brings anybody back: the dead one's last heartbeat is overwritten by then."""
        from avigrid.common import heartbeats

        if hasattr(self, "witness") and time.monotonic() - self.looked_s > _LOOK_EVERY_S:
            self._try(lambda: self.witness.hear(heartbeats.lives()))
            self._try(lambda: self.witness.see(self.wire.state()))
            self.looked_s = time.monotonic()
        self.desk.supervisor.tend()

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
