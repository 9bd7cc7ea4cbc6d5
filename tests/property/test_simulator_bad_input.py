"""Whatever a client sends, the venue answers or refuses; it never breaks and never half-does."""

import inspect
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from avigrid.exchange.simulator.refusals import Refusal
from avigrid.exchange.simulator.rest_face import RestFace
from tests.support.simulated_venue import Floor

CALLS = sorted(
    name
    for name, method in inspect.getmembers(RestFace, inspect.isfunction)
    if "params" in inspect.signature(method).parameters
)
SENSIBLE: dict[str, list[Any]] = {
    "category": ["linear", "spot", "inverse", "x"],
    "symbol": ["BTCUSDT", "SOLUSDT", "NOPE", ""],
    "side": ["Buy", "Sell"],
    "orderType": ["Limit", "Market"],
    "qty": ["0.01", "0.001", "1", "0", 0.02],
    "price": ["49000", "50000", "50000.1", "51000"],
    "timeInForce": ["GTC", "IOC", "FOK", "PostOnly", "RPI"],
    "positionIdx": [0, 1, 2, "0"],
    "orderLinkId": ["a", "b", "c"],
    "reduceOnly": [True, False, "true"],
    "closeOnTrigger": [True, False],
    "triggerPrice": ["49000", "51000", "50000"],
    "triggerDirection": [1, 2],
    "triggerBy": ["LastPrice", "MarkPrice"],
    "takeProfit": ["51000", "0"],
    "stopLoss": ["49000", "0"],
    "tpslMode": ["Full", "Partial"],
    "tpSize": ["0.01"],
    "slSize": ["0.01"],
    "tpOrderType": ["Limit", "Market"],
    "tpLimitPrice": ["51000"],
    "trailingStop": ["100", "0"],
    "activePrice": ["51000"],
    "smpType": ["None", "CancelMaker"],
    "bboSideType": ["Queue", "Counterparty"],
    "bboLevel": ["1", "5"],
    "slippageToleranceType": ["TickSize", "Percent"],
    "slippageTolerance": ["1", "0.5"],
    "buyLeverage": ["5", "10", "100"],
    "sellLeverage": ["5", "10", "100"],
    "mode": [0, 3],
    "coin": ["USDT"],
    "settleCoin": ["USDT", "USDC"],
    "baseCoin": ["BTC"],
    "accountType": ["UNIFIED"],
    "interval": ["1", "5", "60", "D", "W", "M"],
    "intervalTime": ["5min", "1h"],
    "period": ["5min"],
    "limit": ["1", "50", 5],
    "cursor": ["1", "a%3A1%2Cb%3A2"],
    "start": ["1700000000000"],
    "end": ["1700000100000"],
    "startTime": ["1700000000000"],
    "endTime": ["1700000100000"],
    "openOnly": [0, 1],
    "orderFilter": ["Order", "StopOrder"],
    "orderStatus": ["Filled", "New"],
    "orderId": ["x"],
    "margin": ["10"],
    "autoAddMargin": [0, 1],
    "setMarginMode": ["ISOLATED_MARGIN", "REGULAR_MARGIN"],
    "timeWindow": [10],
    "request": [[{}], [{"symbol": "BTCUSDT"}]],
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["-1", "0", "1e400", "NaN", "Infinity", "-0", "0.0000000000001", "9" * 30, "٣", "1_0", " 1 "]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def value_of(name: str) -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from(SENSIBLE[name]), st.sampled_from(SENSIBLE[name]), JUNK)


NAMES = sorted(SENSIBLE)
bodies = st.lists(st.sampled_from(NAMES), max_size=10, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: value_of(name) for name in names})
)
orders = st.lists(st.sampled_from(NAMES), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: st.sampled_from(SENSIBLE[name][:2]) for name in ("side", "orderType", "qty", "price")}
        | {name: value_of(name) for name in names}
    )
)
AIMED = {"category": "linear", "symbol": "BTCUSDT"}


@given(st.lists(st.tuples(st.sampled_from(CALLS), st.one_of(bodies, orders)), min_size=1, max_size=12))
def test_every_call_answers_or_refuses(calls: list[tuple[str, dict[str, Any]]]) -> None:
    floor = Floor()
    floor.market("Buy", "0.05")
    for name, body in calls:
        call = getattr(floor.venue, name)
        for params in (body, AIMED | body):
            refusal = None
            try:
                json.dumps(call(params), allow_nan=False)
            except Refusal as said:
                refusal = said
            assert refusal is None or (refusal.code > 0 and refusal.message)
    for event in floor.venue.drain_private():
        json.dumps(event.rows, allow_nan=False)
    json.dumps(floor.venue.state(), allow_nan=False)
    assert not floor.venue.core.markets["BTCUSDT"].book.is_crossed
