"""Random order flow against the simulated venue: what must hold whatever happens."""

import json
from decimal import Decimal
from typing import Any

from avigrid.exchange.simulator.refusals import Refusal
from avigrid.exchange.simulator.venue import Venue
from hypothesis import given
from hypothesis import strategies as st

from tests.support.simulated_venue import Floor

D = Decimal
Move = tuple[str, dict[str, Any]]
SIDES = st.sampled_from(["Buy", "Sell"])
ACCOUNTS = st.sampled_from(["main", "other"])
PRICES = st.integers(499_500, 500_500).map(lambda ticks: str(D(ticks) / 10))
SIZES = st.integers(1, 400).map(lambda steps: str(D(steps) / 1000))
TERMINAL = {"Filled", "Cancelled", "Deactivated", "Rejected"}

limits = st.fixed_dictionaries(
    {
        "side": SIDES,
        "qty": SIZES,
        "price": PRICES,
        "orderType": st.just("Limit"),
        "timeInForce": st.sampled_from(["GTC", "GTC", "GTC", "IOC", "FOK", "PostOnly"]),
        "reduceOnly": st.booleans(),
        "smpType": st.sampled_from(["None", "None", "CancelMaker", "CancelTaker", "CancelBoth"]),
    }
)
markets = st.fixed_dictionaries(
    {"side": SIDES, "qty": SIZES, "orderType": st.just("Market"), "reduceOnly": st.booleans()},
    optional={"stopLoss": PRICES, "takeProfit": PRICES},
)
stops = st.fixed_dictionaries(
    {
        "side": SIDES,
        "qty": SIZES,
        "orderType": st.just("Market"),
        "triggerPrice": PRICES,
        "triggerDirection": st.sampled_from([1, 2]),
        "triggerBy": st.sampled_from(["LastPrice", "MarkPrice"]),
        "reduceOnly": st.booleans(),
    }
)
moves: st.SearchStrategy[Move] = st.one_of(
    st.tuples(st.just("create"), st.one_of(limits, limits, markets, stops)),
    st.tuples(st.just("cancel"), st.fixed_dictionaries({"pick": st.integers(0, 30)})),
    st.tuples(st.just("amend"), st.fixed_dictionaries({"pick": st.integers(0, 30), "qty": SIZES, "price": PRICES})),
    st.tuples(st.just("guard"), st.fixed_dictionaries({"stopLoss": PRICES, "takeProfit": PRICES})),
    st.tuples(st.just("trade"), st.fixed_dictionaries({"side": SIDES, "price": PRICES, "qty": SIZES})),
    st.tuples(st.just("quote"), st.fixed_dictionaries({"mid": PRICES, "size": SIZES})),
    st.tuples(st.just("mark"), st.fixed_dictionaries({"price": PRICES})),
    st.tuples(st.just("wait"), st.fixed_dictionaries({"minutes": st.integers(1, 700)})),
)
flows = st.lists(st.tuples(ACCOUNTS, moves), min_size=1, max_size=40)


def play(floor: Floor, account: str, move: Move) -> None:
    """Does one move; a refusal is an answer like any other."""
    kind, params = move
    venue = floor.venue
    try:
        if kind == "create":
            venue.create_order(floor.body(**params), account)
        elif kind in ("cancel", "amend"):
            opens = list(venue.account(account).opens(floor.symbol))
            if opens:
                body = floor.body(orderId=opens[params["pick"] % len(opens)])
                call = venue.cancel_order if kind == "cancel" else venue.amend_order
                call(body | {name: value for name, value in params.items() if name != "pick"}, account)
        elif kind == "guard":
            venue.trading_stop(floor.body(positionIdx=0, tpslMode="Full", **params), account)
        elif kind == "trade":
            floor.trade(**params)
        elif kind == "quote":
            floor.quote(**params)
        elif kind == "mark":
            floor.mark(**params)
        else:
            venue.advance(venue.now_ms + params["minutes"] * 60_000)
    except Refusal:
        pass


def check_orders(venue: Venue, ended: dict[str, str]) -> None:
    for name in ("main", "other"):
        account = venue.account(name)
        for order in account.history:
            assert 0 <= order.cum_qty <= order.qty
            if order.is_open:
                assert order.order_id not in ended, "an ended order came back"
                assert order.leaves == order.qty - order.cum_qty > 0
                assert account.opens("BTCUSDT")[order.order_id] is order
            else:
                assert order.status in TERMINAL
                assert ended.setdefault(order.order_id, order.status) == order.status
                assert (order.status == "Filled") == (order.cum_qty == order.qty)


def check_book(venue: Venue) -> None:
    book = venue.core.markets["BTCUSDT"].book
    assert not book.is_crossed
    for side in (book.bids, book.asks):
        for price, queue in side.own.items():
            aheads = [order.ahead for order in queue]
            assert aheads == sorted(aheads)
            assert aheads[-1] <= side.outside.get(price, 0)
            assert all(order.in_book and order.price == price for order in queue)


def check_reducing(venue: Venue) -> None:
    for name in ("main", "other"):
        account = venue.account(name)
        size = account.position(venue.core.markets["BTCUSDT"], 0).size
        resting = [o for o in account.opens("BTCUSDT").values() if o.in_book and o.closes_only]
        assert all(order.side * size < 0 for order in resting)
        assert sum(order.leaves for order in resting) <= abs(size)


def check_money(venue: Venue) -> None:
    """Wallet and position follow from the executions alone; what one account pays another or the outside receives."""
    for name in ("main", "other"):
        account = venue.account(name)
        position = account.position(venue.core.markets["BTCUSDT"], 0)
        size = cash = D(0)
        for item in account.executions:
            if item.kind != "Funding":
                size += item.side * item.qty
                cash -= item.side * item.value
            cash -= item.fee
        assert position.size * D("0.001") == size
        entry = position.entry_value * position.direction
        assert abs(account.balance - account.start_balance - cash - entry) < D("1e-10")
        assert sum((row.change for row in account.ledger), D(0)) == account.balance - account.start_balance
        if account.ledger:
            assert account.ledger[-1].balance == account.balance


def check_guards(venue: Venue) -> None:
    for name in ("main", "other"):
        account = venue.account(name)
        position = account.position(venue.core.markets["BTCUSDT"], 0)
        guards = [o for o in account.opens("BTCUSDT").values() if o.stop_order_type in ("TakeProfit", "StopLoss")]
        assert {order.order_id for order in guards} == {order.order_id for order in position.guards.values()}
        assert all(order.qty == abs(position.size) and order.side == -position.direction for order in guards)


@given(flows)
def test_whatever_happens_books_orders_and_money_stay_consistent(flow: list[tuple[str, Move]]) -> None:
    floor = Floor()
    floor.venue.account("other")
    ended: dict[str, str] = {}
    for account, move in flow:
        play(floor, account, move)
        check_orders(floor.venue, ended)
        check_book(floor.venue)
        check_reducing(floor.venue)
        check_guards(floor.venue)
        check_money(floor.venue)


@given(flows)
def test_the_private_stream_alone_tells_the_final_state(flow: list[tuple[str, Move]]) -> None:
    floor = Floor()
    for _, move in flow:
        play(floor, "main", move)
    last: dict[str, dict[str, Any]] = {}
    filled: dict[str, Decimal] = {}
    for event in floor.venue.drain_private():
        for row in event.rows:
            if event.topic == "order":
                last[row["orderId"]] = row
            elif event.topic == "execution" and row["execType"] != "Funding":
                filled[row["orderId"]] = filled.get(row["orderId"], D(0)) + D(row["execQty"])
    for order in floor.venue.account().history:
        row = last[order.order_id]
        assert row["orderStatus"] == order.status
        assert D(row["cumExecQty"]) == filled.get(order.order_id, D(0))


@given(flows)
def test_bars_are_what_the_tape_makes_them(flow: list[tuple[str, Move]]) -> None:
    floor = Floor()
    for account, move in flow:
        play(floor, account, move)
    trades = floor.venue.drain_trades()
    bars = floor.venue.kline(floor.body(interval="1", limit="1000", start=str(floor.venue.core.start_ms)))["list"][::-1]
    by_minute: dict[int, list[dict[str, Any]]] = {}
    for trade in trades:
        by_minute.setdefault(trade["T"] - trade["T"] % 60_000, []).append(trade)
    previous = None
    for start, first, high, low, last, volume, turnover in bars:
        inside = by_minute.get(int(start), [])
        assert D(volume) == sum((D(t["v"]) for t in inside), D(0))
        assert D(turnover) == sum((D(t["v"]) * D(t["p"]) for t in inside), D(0))
        prices = [D(t["p"]) for t in inside]
        if previous is not None:
            assert D(first) == previous
            prices.append(previous)
            assert (D(high), D(low)) == (max(prices), min(prices))
        previous = D(last)
        if inside:
            assert previous == D(inside[-1]["p"])


def transcript(flow: list[tuple[str, Move]]) -> str:
    floor = Floor()
    for account, move in flow:
        play(floor, account, move)
    venue = floor.venue
    events = [(event.topic, event.time_ms, event.seq, event.rows) for event in venue.drain_private()]
    return json.dumps([venue.state(), venue.state("other"), events, venue.drain_trades()])


@given(flows)
def test_the_same_calls_give_the_same_bytes(flow: list[tuple[str, Move]]) -> None:
    assert transcript(flow) == transcript(flow)
