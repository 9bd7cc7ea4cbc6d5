"""A desk on a simulated exchange, for scenarios."""

from collections.abc import Iterator

import pytest

from tests.support.trading_desk import TradingDesk, trading_desk


@pytest.fixture
def desk(transactional_db: None) -> Iterator[TradingDesk]:
    """Hedge mode, 10,000 USDT, swing plans; the execution process is not started yet."""
    with trading_desk() as desk:
        yield desk
