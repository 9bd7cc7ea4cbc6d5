"""The wallet as the venue shows it, against the books: both count USDT."""

from decimal import Decimal

from django.db.models import Sum

from tests.support.trading_desk import trading_desk
from trading.models import EquitySnapshot, LedgerEntry, Plan
from trading.services.equity import balance_gap
from trading.services.plan_commands import plan_close

D = Decimal


def test_a_dollar_price_of_usdt_off_one_is_neither_gain_nor_gap(transactional_db: None) -> None:
    with trading_desk(usdt_index="1.003") as desk:
        execution = desk.start()
        assert EquitySnapshot.objects.earliest("at").wallet_balance_usd == D(10_000)
        plan = desk.opened(symbol="SOLUSDT")
        plan_close(plan_id=plan.pk, user="test")
        desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", timeout_s=30, what="closed")
        desk.settle()
        wallet = desk.client.gateway.wallet()
        assert wallet.equity_usd == wallet.wallet_balance_usd == wallet.available_usd
        assert wallet.wallet_balance_usd - 10_000 == LedgerEntry.objects.aggregate(sum=Sum("change_usd"))["sum"]
        assert balance_gap(desk.account.pk, wallet) == 0
        assert execution.reconciler.run("full").status == "good"
