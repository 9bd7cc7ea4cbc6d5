"""Books against the exchange's own truth: the digits that both sides keep."""

from decimal import Decimal
from typing import Any

import pytest

from accounts.models import TradingAccount
from trading.models import Position
from trading.runtime.venue_truth import compare

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("shown", "is_equal"), [("235.109333333333", True), ("235.1094", False)])
def test_the_tail_of_a_division_is_no_difference(shown: str, is_equal: bool) -> None:
    account = TradingAccount.objects.create(label="test", environment="simulated", hedge_mode=True)
    Position.objects.create(
        account=account,
        symbol="SOLUSDT",
        position_idx=1,
        size=Decimal("1.6"),
        entry_value_usd=Decimal("235.109333333333333333"),
    )
    held = {"symbol": "SOLUSDT", "positionIdx": 1, "side": "Buy", "size": "1.6", "positionValue": shown, "stopLoss": ""}
    state: dict[str, Any] = {"positions": [held], "orders": {"open": []}, "executions": []}
    assert compare(account.pk, state).is_equal is is_equal
