"""Funding: when it is due and what it does. Multiples of the interval from 00:00 UTC; only open positions pay."""

from decimal import Decimal

from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.settlement import book_funding


def next_time(market: Market, now_ms: int) -> int:
    """The first funding time after `now_ms`."""
    interval = market.spec.funding_interval_min * 60_000
    return now_ms - now_ms % interval + interval


def clipped(market: Market, rate: Decimal) -> Decimal:
    cap = market.spec.funding_cap
    return max(-cap, min(cap, rate))


def settle(core: Core, market: Market) -> None:
    """At the funding time itself: core.now_ms is that instant."""
    rate = clipped(market, market.funding_rate)
    market.fundings.append((core.now_ms, rate))
    if not market.mark:
        return
    for account in core.accounts.values():
        for position in list(account.positions.values()):
            if position.market is market and position.size:
                book_funding(core, account, position, rate)
