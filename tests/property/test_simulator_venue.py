"""Random order flow against the simulated venue: what must hold whatever happens."""

import json
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from avigrid.exchange.simulator.account import Account
from avigrid.exchange.simulator.refusals import Refusal
from avigrid.exchange.simulator.venue import Venue
from tests.support.simulated_venue import Floor

D = Decimal
Move = tuple[str, dict[str, Any]]
TERMINAL = {"Filled", "Cancelled", "Deactivated", "Rejected"}
MOVES_PER_FLOW = 120
MOVES = ["create"] * 8 + ["cancel", "amend"] * 2 + ["trade", "quote"] * 3 + ["mark", "guard", "wait", "jump"]
seeds = st.integers(0, 2**32)


def near(rng: Random, spread: int) -> str:
    """A price within `spread` ticks of 50 000."""
    return str(D(500_000 + rng.randint(-spread, spread)) / 10)


def some(rng: Random) -> str:
    return str(D(rng.randint(1, 400)) / 1000)


def an_order(rng: Random) -> dict[str, Any]:
    params: dict[str, Any] = {"side": rng.choice(["Buy", "Sell"]), "qty": some(rng)}
    kind = rng.random()
    if kind < 0.6:
        tif = rng.choice(["GTC", "GTC", "GTC", "GTC", "IOC", "FOK", "PostOnly"])
        params |= {"orderType": "Limit", "price": near(rng, 25), "timeInForce": tif}
    elif kind < 0.85:
        params["orderType"] = "Market"
    else:
        trigger = rng.choice(["LastPrice", "MarkPrice"])
        params |= {"orderType": "Market", "triggerPrice": near(rng, 60), "triggerBy": trigger}
        params["triggerDirection"] = rng.choice([1, 2])
    extra = rng.random()
    if extra < 0.25:
        params["reduceOnly"] = True
    elif extra < 0.4:
        buys = params["side"] == "Buy"
        params |= {"stopLoss": "49900" if buys else "50100", "takeProfit": "50100" if buys else "49900"}
        params["tpslMode"] = rng.choice(["Full", "Partial"])
    if rng.random() < 0.2:
        params["smpType"] = rng.choice(["CancelMaker", "CancelTaker", "CancelBoth"])
    return params


def a_move(rng: Random) -> Move:
    kind = rng.choice(MOVES)
    if kind == "create":
        return kind, an_order(rng)
    if kind == "cancel":
        return kind, {"pick": rng.randint(0, 30)}
    if kind == "amend":
        return kind, {"pick": rng.randint(0, 30), "qty": some(rng), "price": near(rng, 25)}
    if kind == "trade":
        return kind, {"side": rng.choice(["Buy", "Sell"]), "price": near(rng, 30), "qty": some(rng)}
    if kind == "quote":
        return kind, {"mid": near(rng, 20), "size": some(rng)}
    if kind == "mark":
        return kind, {"price": near(rng, 60)}
    if kind == "jump":
        return kind, {"ratio": D(rng.choice(["-0.01", "0.01", "-0.03", "0.03"]))}
    if kind == "guard":
        return kind, rng.choice([{"stopLoss": near(rng, 80)}, {"takeProfit": near(rng, 80)}, {"stopLoss": "0"}])
    return kind, {"minutes": rng.choice([1, 1, 7, 61, 700])}


def flow_of(seed: int) -> list[tuple[str, Move]]:
    rng = Random(seed)
    return [(rng.choice(["main", "main", "other"]), a_move(rng)) for _ in range(MOVES_PER_FLOW)]


def floor_of(seed: int) -> Floor:
    """One-way, hedge, isolated, or so little money at so much leverage that accounts are liquidated."""
    kind = seed % 4
    config: dict[str, Any] = {"hedge": kind == 1, "isolated": kind == 2}
    if kind == 3:
        config |= {"balance_usdt": D(400), "leverage": D(50)}
    floor = Floor(**config)
    floor.venue.account("other")
    return floor


def both_accounts(venue: Venue) -> list[Account]:
    return [venue.account("main"), venue.account("other")]


def play(floor: Floor, account: str, move: Move) -> None:
    """Does one move; a refusal is an answer like any other."""
    kind, params = move
    venue = floor.venue
    hedge = venue.config.hedge
    try:
        if kind == "create":
            idx = 1 + (params["side"] == "Sell") * (params["qty"] != "0.1") if hedge else 0
            if hedge and params.get("reduceOnly"):
                idx = 3 - idx
            venue.create_order(floor.body(**params, positionIdx=idx), account)
        elif kind in ("cancel", "amend"):
            opens = list(venue.account(account).opens(floor.symbol))
            if opens:
                body = floor.body(orderId=opens[params["pick"] % len(opens)])
                call = venue.cancel_order if kind == "cancel" else venue.amend_order
                call(body | {name: value for name, value in params.items() if name != "pick"}, account)
        elif kind == "guard":
            venue.trading_stop(floor.body(positionIdx=int(hedge), tpslMode="Full", **params), account)
        elif kind == "trade":
            floor.trade(**params)
        elif kind == "quote":
            floor.quote(**params)
        elif kind == "mark":
            floor.mark(**params)
        elif kind == "jump":
            venue.price_jump(floor.symbol, params["ratio"])
        else:
            venue.advance(venue.now_ms + params["minutes"] * 60_000)
    except Refusal:
        pass


def check_orders(venue: Venue, ended: dict[str, str]) -> None:
    for account in both_accounts(venue):
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
    assert all(order.status == "Untriggered" for order in venue.core.markets["BTCUSDT"].untriggered)


def check_reducing(venue: Venue) -> None:
    for account in both_accounts(venue):
        for position in account.positions.values():
            resting = [
                order
                for order in account.opens("BTCUSDT").values()
                if order.in_book and order.closes_only and order.position_idx == position.idx
            ]
            assert all(order.side * position.size < 0 for order in resting)
            assert sum(order.leaves for order in resting) <= abs(position.size)
            if position.idx:
                assert position.size * (1 if position.idx == 1 else -1) >= 0


def check_money(venue: Venue) -> None:
    """Wallet and positions follow from the executions alone."""
    for account in both_accounts(venue):
        sizes = dict.fromkeys((0, 1, 2), D(0))
        cash, balance = D(0), account.start_balance
        for item in account.executions:
            if item.order is not None:
                sizes[item.order.position_idx] += item.side * item.qty
                cash -= item.side * item.value
            cash -= item.fee
            balance += item.pnl - item.fee
            assert item.balance == balance
        assert account.balance == balance
        held = D(0)
        for position in account.positions.values():
            assert position.size * D("0.001") == sizes[position.idx]
            held += position.entry_value * position.direction
        assert abs(account.balance - account.start_balance - cash - held) < D("1e-9")


def check_guards(venue: Venue) -> None:
    for account in both_accounts(venue):
        for position in account.positions.values():
            guards = [
                order
                for order in account.opens("BTCUSDT").values()
                if order.stop_order_type in ("TakeProfit", "StopLoss", "TrailingStop")
                and order.status == "Untriggered"
                and order.position_idx == position.idx
            ]
            assert {order.order_id for order in guards} == {order.order_id for order in position.guards.values()}
            assert all(order.qty == abs(position.size) and order.side == -position.direction for order in guards)
            assert (position.stop_loss is None) == ("StopLoss" not in position.guards)


@given(seeds)
def test_whatever_happens_books_orders_and_money_stay_consistent(seed: int) -> None:
    floor = floor_of(seed)
    ended: dict[str, str] = {}
    for account, move in flow_of(seed):
        play(floor, account, move)
        check_orders(floor.venue, ended)
        check_book(floor.venue)
        check_reducing(floor.venue)
        check_guards(floor.venue)
        check_money(floor.venue)


@given(seeds)
def test_the_private_stream_alone_tells_the_final_state(seed: int) -> None:
    floor = floor_of(seed)
    for _, move in flow_of(seed):
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


@given(seeds)
def test_bars_are_what_the_tape_makes_them(seed: int) -> None:
    floor = floor_of(seed)
    for account, move in flow_of(seed):
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


def transcript(seed: int) -> str:
    floor = floor_of(seed)
    for account, move in flow_of(seed):
        play(floor, account, move)
    venue = floor.venue
    events = [(event.topic, event.time_ms, event.seq, event.rows) for event in venue.drain_private()]
    return json.dumps([venue.state(), venue.state("other"), events, venue.drain_trades()])


@given(seeds)
def test_the_same_calls_give_the_same_bytes(seed: int) -> None:
    assert transcript(seed) == transcript(seed)
