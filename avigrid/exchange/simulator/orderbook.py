"""The order book of one symbol: outside liquidity by price, our orders in the queue among it.

Outside liquidity has no identity, only a size per price. Each of our orders knows how much outside size stands before
it at its price (`ahead`); what others add later stands behind it, what they take away shrinks the part before it in
proportion, what trades comes off the front. Everything in ticks and steps.
"""

from bisect import bisect_left, insort

from avigrid.exchange.simulator.orders import BUY, Order

Head = tuple[int, Order | None, int]
"""(price, our order or None for outside, quantity next in line)."""


class BookSide:
    """One side. `key` turns prices so that the best is the largest: bids +1, asks -1."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.outside: dict[int, int] = {}
        self._keys: list[int] = []
        self.own: dict[int, list[Order]] = {}
        self._own_keys: list[int] = []

    # -- outside ----------------------------------------------------------------------------------------------
    def replace(self, levels: dict[int, int]) -> None:
        """New outside levels; the part before each of our orders shrinks with its level."""
        old = self.outside
        for price, queue in self.own.items():
            before = old.get(price, 0)
            after = levels.get(price, 0)
            if after < before:
                for order in queue:
                    order.ahead = order.ahead * after // before
        self.outside = levels
        key = self.key
        self._keys = sorted([price * key for price in levels])

    def eat(self, price: int, qty: int) -> None:
        """Outside size at the front of `price` trades away."""
        left = self.outside[price] - qty
        if left > 0:
            self.outside[price] = left
        else:
            del self.outside[price]
            self._drop_key(self._keys, price * self.key)
        for order in self.own.get(price, ()):
            order.ahead = order.ahead - qty if order.ahead > qty else 0

    def drop_better(self, price: int) -> int:
        """Outside levels better than `price` are stale once a trade printed at `price`: they go without a trade.
        Returns the size of the last one; 0 = none."""
        keys, bound = self._keys, price * self.key
        size = 0
        while keys and keys[-1] > bound:
            stale = keys.pop() * self.key
            size = self.outside.pop(stale)
            for order in self.own.get(stale, ()):
                order.ahead = 0
        return size

    def refill(self, price: int, size: int) -> None:
        """An empty outside gets one level back."""
        if not self.outside:
            self.outside[price] = size
            self._keys.append(price * self.key)

    # -- ours -------------------------------------------------------------------------------------------------
    def add(self, order: Order) -> None:
        queue = self.own.get(order.price)
        if queue is None:
            queue = self.own[order.price] = []
            insort(self._own_keys, order.price * self.key)
        order.ahead = self.outside.get(order.price, 0)
        queue.append(order)

    def remove(self, order: Order) -> None:
        queue = self.own[order.price]
        if queue[0] is order:
            del queue[0]
        else:
            queue.remove(order)
        if not queue:
            del self.own[order.price]
            self._drop_key(self._own_keys, order.price * self.key)

    # -- reading ----------------------------------------------------------------------------------------------
    @staticmethod
    def _drop_key(keys: list[int], key: int) -> None:
        if keys[-1] == key:
            keys.pop()
        else:
            del keys[bisect_left(keys, key)]

    def best_outside(self) -> int | None:
        return self._keys[-1] * self.key if self._keys else None

    def best_own(self) -> int | None:
        return self._own_keys[-1] * self.key if self._own_keys else None

    def best(self) -> int | None:
        keys, own = self._keys, self._own_keys
        if not own:
            return keys[-1] * self.key if keys else None
        if not keys:
            return own[-1] * self.key
        return max(keys[-1], own[-1]) * self.key

    def head(self, limit: int) -> Head | None:
        """What trades next against a taker who goes as far as `limit`."""
        keys, own_keys = self._keys, self._own_keys
        if own_keys:
            own_key = own_keys[-1]
            if not keys or own_key >= keys[-1]:
                if own_key < limit * self.key:
                    return None
                price = own_key * self.key
                order = self.own[price][0]
                return (price, None, order.ahead) if order.ahead else (price, order, order.leaves)
        if not keys or keys[-1] < limit * self.key:
            return None
        price = keys[-1] * self.key
        return price, None, self.outside[price]

    def reachable(self, limit: int, wanted: int) -> int:
        """Quantity available up to `limit`, counted no further than `wanted`."""
        total, bound = 0, limit * self.key
        for keys, levels in ((self._keys, self.outside), (self._own_keys, None)):
            for key in reversed(keys):
                if key < bound or total >= wanted:
                    break
                price = key * self.key
                total += levels[price] if levels is not None else sum(order.leaves for order in self.own[price])
        return total

    def levels(self, depth: int) -> list[tuple[int, int]]:
        """(price, size) best first, ours and the outside's together."""
        outside, key = self.outside, self.key
        if not self._own_keys:
            return [(price * key, outside[price * key]) for price in self._keys[: -depth - 1 : -1]]
        prices = sorted({*self._keys[: -depth - 1 : -1], *self._own_keys[: -depth - 1 : -1]}, reverse=True)[:depth]
        rows = []
        for turned in prices:
            price = turned * key
            size = outside.get(price, 0) + sum(order.leaves for order in self.own.get(price, ()))
            rows.append((price, size))
        return rows


class Book:
    """Both sides, with a version that moves on every change."""

    def __init__(self) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.version = 1
        self.changed_ms = 0

    def side(self, side: int) -> BookSide:
        return self.bids if side == BUY else self.asks

    def against(self, side: int) -> BookSide:
        return self.asks if side == BUY else self.bids

    def touch(self, now_ms: int) -> None:
        self.version += 1
        self.changed_ms = now_ms

    @property
    def is_crossed(self) -> bool:
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid >= ask
