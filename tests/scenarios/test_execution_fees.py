"""An account that pays 0.10 %: the execution process finds out, and what was sized for less is not placed."""

from decimal import Decimal

from avigrid.exchange.simulator.specs import Fees
from avigrid.kernel.instrument import FeeRates
from tests.support.trading_desk import trading_desk
from trading.models import AccountFeeRates, Fill
from trading.selectors.fee_rates import fee_rates_of

D = Decimal
DEAR = FeeRates(taker=D("0.001"), maker=D("0.0004"))


def test_the_accounts_own_fees_are_read_and_counted_with(transactional_db: None) -> None:
    with trading_desk(fees=Fees(taker=DEAR.taker, maker=DEAR.maker)) as desk:
        desk.start()
        desk.until(lambda: AccountFeeRates.objects.count() == 2, what="fees of both symbols read")
        assert fee_rates_of(desk.account.pk, "SOLUSDT").rates == DEAR
        assert desk.place(symbol="SOLUSDT").code == "fees_changed"
        plan = desk.opened(symbol="SOLUSDT", fees=DEAR)
        paid = Fill.objects.get(plan=plan)
        assert paid.fee_usd == paid.price * paid.quantity * D("0.001")
        spec = plan.spec
        held = paid.quantity * (abs(paid.price - D(spec["stop"])) + paid.price * D("0.002"))
        assert held <= plan.r_usd * D("1.02")  # filled within the entry's slippage, stopped and paid for both ways
        assert D(spec["planned_loss_usd"]) <= plan.r_usd
