"""One plan over the bars that follow its decision, with `next_actions` in charge and the modelled venue answering.

The venue is honest rather than kind: a resting limit fills only when the bar trades through it by a tick, a stop is
taken before any take-profit of the same bar, and nothing that is placed during a bar can fill in it.
"""

from bisect import bisect_right
from dataclasses import replace
from decimal import Decimal

from avigrid.kernel.errors import Bug
from avigrid.kernel.money import ZERO, Rounding, decimal_from_float, to_multiple
from avigrid.kernel.orders import OrderRole, OrderStatus
from trading.avi5.actions import CancelOrder, CloseReason, PlaceOrder, PlanStatus
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import Decision
from trading.avi5.entries import has_future_entries
from trading.avi5.plan import next_actions
from trading.avi5.protection import break_even_from
from trading.avi5.record import record
from trading.avi5.spec import PlanSpec
from trading.avi5.state import MarketView, PlanOrder, PlanState
from trading.backtest.holdings import Holdings, Lot, Segment
from trading.backtest.plan_result import END_OF_DATA, result_of
from trading.backtest.resting import Resting
from trading.backtest.result import BacktestSettings, PlanResult
from trading.backtest.series import next_funding_ms
from trading.backtest.track import Track, first_touch


class PlanRun:
    """`run()` once; afterwards `segments` hold the plan's profit and loss bar by bar."""

    def __init__(
        self,
        *,
        number: int,
        decision: Decision,
        spec: PlanSpec,
        track: Track,
        first: int,
        config: StrategyConfig,
        settings: BacktestSettings,
        look_at_every_bar: bool = False,
    ) -> None:
        self._number = number
        self._decision = decision
        self._spec = spec
        self._track = track
        self._first = first
        self._config = config
        self._settings = settings
        self._every = look_at_every_bar
        self._direction = spec.direction
        self._tick = spec.grain.tick_size
        self._opened_ms = track.start_ms[first]
        self._plan = PlanState(spec=spec, status=PlanStatus.PLACING, opened_ms=self._opened_ms)
        self._held = Holdings(number, spec.direction)
        self._closed_ms = self._opened_ms
        self._fresh_exits: set[str] = set()
        self._venue = Resting(spec.direction, spec.grain.tick_size)
        self._arrived_at = -1
        self._outlived_data = False

    @property
    def segments(self) -> list[Segment]:
        return self._held.segments

    def run(self) -> PlanResult:
        track = self._track
        self._step(
            MarketView(
                now_ms=self._opened_ms,
                price=decimal_from_float(self._decision.indicators.close),
                trend=self._decision.indicators.trend,
            )
        )
        k = self._first
        count = len(track.start_ms)
        while k < count:
            self._bar(k)
            if self._plan.status.is_final:
                break
            after = k + 1 if self._every else self._next_event(k)
            self._pay_funding(k, min(after, count - 1))
            k = after
        else:
            self._leave_at_the_end(count - 1)
        return self._result(min(k, count - 1))

    def _bar(self, k: int) -> None:
        changed = self._arrived_at != k and self._open_phase(k)
        if not self._plan.status.is_final:
            changed = self._fill_phase(k) or changed
        if not self._plan.status.is_final:
            now_ms = self._track.end_ms[k]
            self._step(
                MarketView(
                    now_ms=now_ms,
                    price=decimal_from_float(self._track.close[k]),
                    trend=self._track.trend[k],
                    next_funding_ms=next_funding_ms(now_ms),
                ),
            )
            self._closed_ms = now_ms
        if changed:
            self._held.mark(k)

    def _open_phase(self, k: int) -> bool:
        """What was decided before this bar reaches the venue at its open."""
        opens = self._track.open[k]
        price = decimal_from_float(opens)
        judged = False
        self._fresh_exits.clear()
        arrived: list[PlanOrder] = []
        waiting = [order for order in self._plan.orders if order.status is OrderStatus.INTENT]
        for order in waiting:
            if order.role is OrderRole.CLOSE:
                self._close_lots(k, order.quantity, self._taken(price, k, -self._direction), price, order)
                judged = True
            elif order.role is OrderRole.TAKE_PROFIT:
                arrived.append(order.changed(OrderStatus.OPEN))
                self._fresh_exits.add(order.ref)
            elif order.rung == 0 and order.cycle == 0:
                self._take_entry(k, order, price)
                judged = True
            else:
                assert order.price is not None
                would_take = self._direction * (price - order.price) <= 0
                status = OrderStatus.CANCELLED if would_take else OrderStatus.OPEN
                arrived.append(order.changed(status))
        if all(order.status is OrderStatus.OPEN for order in arrived):
            self._rest(arrived)
        else:
            self._update(arrived)
        while judged:
            # Between open and close nothing is known but what filled: no price, no trend, nothing new is offered.
            self._step(MarketView(now_ms=self._track.start_ms[k], price=None, entries_allowed=False))
            self._closed_ms = self._track.start_ms[k]
            # A close larger than one market order may be goes in pieces, one after the other at the same open.
            pieces = [o for o in self._plan.of(OrderRole.CLOSE) if o.status is OrderStatus.INTENT]
            if self._plan.status.is_final or not pieces:
                break
            self._close_lots(k, pieces[0].quantity, self._taken(price, k, -self._direction), price, pieces[0])
        return judged

    def _take_entry(self, k: int, order: PlanOrder, price: Decimal) -> None:
        assert order.price is not None
        at = self._taken(price, k, self._direction)
        if self._direction * (at - order.price) > 0:
            self._update([order.changed(OrderStatus.CANCELLED)])
            return
        entered = self._enter(k, order, at, self._settings.fees.taker, self._direction * (at - price))
        self._update([entered])

    def _fill_phase(self, k: int) -> bool:
        track, direction = self._track, self._direction
        adverse = track.low[k] if direction > 0 else track.high[k]
        best = track.high[k] if direction > 0 else track.low[k]
        signed_adverse, signed_best = direction * adverse, direction * best
        entries, exits = self._venue.split(self._plan.orders)
        crossed = [o for o in entries if signed_adverse <= direction * self._venue.level(o)]
        stop = self._plan.stop_price or self._spec.stop
        if signed_adverse <= direction * float(stop) and (self._held.lots or crossed):
            maker = self._settings.fees.maker
            self._update([self._enter(k, order, order.price or ZERO, maker, ZERO) for order in crossed])
            self._stop_out(k, stop)
            return True
        filled = [self._take_profit(k, order) for order in exits if signed_best >= direction * self._venue.level(order)]
        filled += [self._enter(k, order, order.price or ZERO, self._settings.fees.maker, ZERO) for order in crossed]
        self._update(filled)
        return bool(filled)

    def _enter(self, k: int, order: PlanOrder, price: Decimal, fee: Decimal, slipped: Decimal) -> PlanOrder:
        lot = Lot(order.quantity, price, self._track.start_ms[k], fee, slipped)
        self._held.enter((order.rung, order.cycle), lot)
        return order.changed(OrderStatus.FILLED, order.quantity, price)

    def _take_profit(self, k: int, order: PlanOrder) -> PlanOrder:
        assert order.price is not None
        opened_beyond = self._direction * (self._track.open[k] - float(order.price)) >= 0
        # Placed since the last bar and already marketable: it takes. Its price is kept, which is the worse one.
        takes = opened_beyond and order.ref in self._fresh_exits
        fee = self._settings.fees.taker if takes else self._settings.fees.maker
        key = (order.rung, order.cycle) if not self._spec.take_profits else (0, 0)
        self._held.sell(
            key,
            order.quantity,
            order.price,
            exit_ms=self._track.start_ms[k],
            fee=fee,
            slipped=ZERO,
            why=CloseReason.TAKE_PROFIT.value,
            rung=order.rung,
        )
        return order.changed(OrderStatus.FILLED, order.quantity, order.price)

    def _stop_out(self, k: int, stop: Decimal) -> None:
        opens = decimal_from_float(self._track.open[k])
        worse = min(stop, opens) if self._direction > 0 else max(stop, opens)
        at = self._taken(worse, k, -self._direction)
        size = self._plan.position_qty
        self._sell_off(k, self._held.quantity, at, self._direction * (stop - at), CloseReason.STOP.value)
        self._plan = replace(self._plan, stop_filled_qty=self._plan.stop_filled_qty + size)

    def _close_lots(self, k: int, size: Decimal, at: Decimal, wanted: Decimal, order: PlanOrder | None) -> None:
        reason = (self._plan.close_reason or CloseReason.OPERATOR).value if order else END_OF_DATA
        left = self._sell_off(k, size, at, self._direction * (wanted - at), reason)
        if order is not None:
            self._update([order.changed(OrderStatus.FILLED, size - left, at)])

    def _sell_off(self, k: int, size: Decimal, at: Decimal, slipped: Decimal, why: str) -> Decimal:
        """As a taker, lot by lot; answers what there was nothing left for."""
        left = size
        for key in list(self._held.lots):
            part = min(left, self._held.lots[key].quantity)
            if part > 0:
                self._held.sell(
                    key,
                    part,
                    at,
                    exit_ms=self._track.start_ms[k],
                    fee=self._settings.fees.taker,
                    slipped=slipped,
                    why=why,
                )
                left -= part
        return left

    def _taken(self, price: Decimal, k: int, side: int) -> Decimal:
        """What a taker of `side` pays or gets: slipped, and on tick to our disadvantage."""
        slipped = price * (1 + side * decimal_from_float(self._track.slippage_bps[k]) / 10_000)
        return to_multiple(slipped, self._tick, Rounding.UP if side > 0 else Rounding.DOWN)

    def _step(self, view: MarketView) -> None:
        """Cancels are acknowledged at once, since nothing trades in between; only they make it worth asking again."""
        for _ in range(20):
            actions = next_actions(self._plan, (), view, self._config)
            cancelled = {action.ref for action in actions if isinstance(action, CancelOrder)}
            if not cancelled:
                self._plan = record(self._plan, actions)
                return
            # The cancels are through before a close is sent, so one close can take all that they free.
            self._plan = record(
                self._plan, [a for a in actions if not (isinstance(a, PlaceOrder) and a.role is OrderRole.CLOSE)]
            )
            self._update([o.changed(OrderStatus.CANCELLED) for o in self._plan.orders if o.ref in cancelled])
        raise Bug("a plan does not come to rest", plan=self._number)

    def _update(self, changed: list[PlanOrder]) -> None:
        if changed:
            by_ref = {order.ref: order for order in changed}
            self._plan = self._plan.with_orders(tuple([by_ref.get(o.ref, o) for o in self._plan.orders]))

    def _rest(self, arrived: list[PlanOrder]) -> None:
        if arrived:
            by_ref = {order.ref: order for order in arrived}
            self._plan = self._plan.with_rested(tuple([by_ref.get(o.ref, o) for o in self._plan.orders]))

    def _next_event(self, k: int) -> int:
        """The next bar in which anything can happen to this plan; a bar too many costs time, not truth."""
        plan, track, config, direction = self._plan, self._track, self._config, self._direction
        count = len(track.start_ms)
        waiting = [order for order in plan.orders if order.status is OrderStatus.INTENT]
        if has_future_entries(plan, config):
            return k + 1
        if waiting and (k + 1 >= count or not self._come_to_rest(k + 1, waiting)):
            return k + 1
        plan = self._plan
        has_position = bool(self._held.lots)
        last = min(track.first_ending_at(self._opened_ms + config.time_exit_ms), count)
        entries, exits = self._venue.split(self._plan.orders)
        adverse = [direction * self._venue.level(order) for order in entries]
        if has_position:
            adverse.append(direction * float(plan.stop_price or self._spec.stop))
        best = [direction * self._venue.level(order) for order in exits]
        floor = max(adverse, default=-float("inf"))
        roof = min(best, default=float("inf"))
        gain = break_even_from(plan, config) if has_position else float("inf")
        turn = -direction if plan.may_enter and self._spec.is_grid else 9
        found = first_touch(
            track,
            range(k + 1, last),
            direction,
            floor=floor,
            roof=roof,
            gain=gain,
            turn=turn,
            funding_exit_ms=config.funding_exit_ms if config.auto_funding_exit and has_position else 0,
        )
        return max(last, k + 1) if found is None else found

    def _come_to_rest(self, k: int, waiting: list[PlanOrder]) -> bool:
        """Orders that only begin to rest at bar k's open change nothing else by that: bar k is then a bar like others.

        False: one of them takes or is refused, which the plan must answer in bar k.
        """
        if any(o.role is OrderRole.CLOSE or (o.role is OrderRole.ENTRY and o.rung == 0 == o.cycle) for o in waiting):
            return False
        self._open_phase(k)
        self._arrived_at = k
        refs = {order.ref for order in waiting}
        return not any(o.status is OrderStatus.CANCELLED for o in self._plan.orders if o.ref in refs)

    def _pay_funding(self, k: int, until: int) -> None:
        """Funding moments in (k, until]: paid on what is held since bar k, at that bar's open."""
        if not self._held.lots:
            return
        at = self._track.funding_at
        for index in range(bisect_right(at, k), bisect_right(at, until)):
            bar = at[index]
            rate = decimal_from_float(self._track.funding_rate[index])
            self._held.pay_funding(decimal_from_float(self._track.open[bar]), rate)
            self._held.mark(bar)

    def _leave_at_the_end(self, k: int) -> None:
        """The data ends while the plan lives: what is held is sold at the last close, as a taker.

        Also where a close was decided at that very close: it would be sold at the next bar's open, which is not known.
        """
        if self._held.lots:
            close = decimal_from_float(self._track.close[k])
            self._close_lots(k, self._held.quantity, self._taken(close, k, -self._direction), close, None)
            self._held.mark(k)
        self._closed_ms = self._track.end_ms[k]
        self._plan = replace(self._plan, status=PlanStatus.CLOSED)
        self._outlived_data = True

    def _result(self, last: int) -> PlanResult:
        return result_of(
            self._decision,
            self._plan,
            self._held,
            number=self._number,
            bars=(self._first, last),
            outlived_data=self._outlived_data,
            closed_ms=self._closed_ms,
        )
