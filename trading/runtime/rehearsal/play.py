"""Plays a rehearsal: step by step, each compared with what the file expects once everything has come to rest."""

import time
from collections.abc import Callable
from decimal import Decimal

from avigrid.exchange.simulator.scenarios.outcome import Finding, Outcome
from avigrid.kernel.money import plain
from risk.core.states import StateSource
from risk.services.states import halt
from trading.models import LIVE_STATUSES, Fill, Order, OutboxEvent, Plan
from trading.runtime.rehearsal import views
from trading.runtime.rehearsal.document import Act, BadScenario, Rehearsal
from trading.runtime.rehearsal.stage import Playhouse, playhouse
from trading.services.plan_commands import plan_break_even, plan_cancel_entries, plan_close

_QUIET_TURNS = 4
"""At least one step of every plan lies within: see `stage.Ticking`."""
_PATIENCE_S = 30.0
_ON_ITS_WAY = ("intent", "submitting", "unknown")
_COMMANDS = {"close": plan_close, "break_even": plan_break_even, "cancel_entries": plan_cancel_entries}


def play(rehearsal: Rehearsal, *, say: Callable[[str], None] = lambda line: None) -> Outcome[Rehearsal]:
    """Needs a database that may be thrown away. BadScenario where a step cannot be done at all."""
    with playhouse(rehearsal) as house:
        return _Play(house, say).outcome()


class _Play:
    def __init__(self, house: Playhouse, say: Callable[[str], None]) -> None:
        self._house = house
        self._say = say
        self._outcome = Outcome(house.rehearsal)

    def outcome(self) -> Outcome[Rehearsal]:
        self._until(lambda: self._house.execution.is_ready and self._house.execution.stream == "up", "ready")
        for act in self._house.rehearsal.acts:
            self._say(f"{Decimal(act.at_ms) / 1_000:>9}s  {act.title}")
            self._house.go_to(act.at_ms)
            try:
                self._do(act)
                if act.turns:
                    self._turn(act.turns)
                else:
                    self._come_to_rest(act)
                for name, wanted in act.expect.items():
                    self._judge(act, name, wanted)
            except (LookupError, ValueError, TypeError, ArithmeticError) as error:
                raise BadScenario(f"{self._house.rehearsal.path}: step {act.number}: {error}") from error
            for broken in views.promises(self._house):
                self._note(act, "books equal the venue, everything held is protected", False, broken)
            for widened in self._house.widened:
                self._note(act, "the stop never widens, not even for a moment", False, widened)
            self._house.widened.clear()
        return self._outcome

    # -- acts ---------------------------------------------------------------------------------------------------

    def _do(self, act: Act) -> None:
        house, body = self._house, act.body
        match act.action:
            case "place":
                placement = house.place()
                if not placement.placed:
                    raise ValueError(f"the signal is not placed: {placement.sentence}")
            case "trend":
                house.trend(int(body))
            case "operator":
                plan = house.plan()
                if plan is None:
                    raise LookupError("no plan was placed")
                _COMMANDS[body](plan_id=plan.pk, user="operator", reason="rehearsal")
            case "kill":
                halt(
                    account_id=house.account_id,
                    source=StateSource.OPERATOR,
                    reason="rehearsal",
                    actor="operator",
                    flatten=body == "flatten",
                )
            case "hand":
                plan = house.plan()
                assert plan is not None
                house.client.gateway.set_stop(
                    symbol=plan.symbol, position_idx=plan.position_idx, stop_loss=Decimal(str(body["stop"]))
                )
            case "fault":
                house.exchange.fault(body)
            case "clear":
                house.exchange.clear_faults()
            case "restart":
                house.restart()
                self._until(lambda: house.execution.is_ready and house.execution.stream == "up", "ready again")
            case _:
                pass  # price and wait: time and the market have moved already

    # -- coming to rest -----------------------------------------------------------------------------------------

    def _come_to_rest(self, act: Act) -> None:
        """Turn the loop until nothing moves any more and no promise is broken; what never does is a finding."""
        seen: list[object] = []

        def is_quiet() -> bool:
            seen.append(self._fingerprint())
            last = seen[-_QUIET_TURNS:]
            if len(last) < _QUIET_TURNS or last[0] is None or any(one != last[0] for one in last):
                return False
            return not views.promises(self._house)

        try:
            self._until(is_quiet, "come to rest")
        except TimeoutError as error:
            self._note(act, "everything comes to rest", False, str(error))

    def _fingerprint(self) -> object:
        """What the books say; None while something is on its way."""
        house = self._house
        orders = Order.objects.filter(account_id=house.account_id)
        rows = list(orders.order_by("id").values_list("id", "status", "filled_qty", "cancel_requested_at"))
        is_moving = any(
            status in _ON_ITS_WAY or (asked is not None and status in LIVE_STATUSES) for _, status, _, asked in rows
        )
        if is_moving or len(house.execution.inbox) or house.execution.halting.running:
            return None
        plan = Plan.objects.filter(account_id=house.account_id).values().last()
        return rows, plan, Fill.objects.count(), OutboxEvent.objects.count()

    def _turn(self, turns: int) -> None:
        for _ in range(turns):
            self._house.execution.turn(wait_s=0.01)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + _PATIENCE_S
        while True:
            self._house.execution.turn(wait_s=0.01)
            if condition():
                return
            if time.monotonic() > end_s:
                broken = "; ".join(views.promises(self._house))
                raise TimeoutError(f"not within {_PATIENCE_S:g} s: {what} {broken}".strip())

    # -- judging ------------------------------------------------------------------------------------------------

    def _judge(self, act: Act, name: str, wanted: object) -> None:
        found = views.value(self._house, name)
        self._note(act, f"{name} is {wanted}", views.same(found, wanted), _text(found))

    def _note(self, act: Act, text: str, held: bool, found: str) -> None:
        finding = Finding(Decimal(act.at_ms) / 1_000, f"step {act.number} {act.action}: {text}", held, found)
        self._outcome.findings.append(finding)


def _text(found: object) -> str:
    return plain(found) if isinstance(found, Decimal) else str(found)
