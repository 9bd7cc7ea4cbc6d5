"""Wallet readings: one row every few seconds at most, and risk told of every one."""

from datetime import timedelta
from decimal import Decimal

from avigrid.kernel.money import ZERO
from avigrid.kernel.portfolio import Wallet
from risk.services.meters import EquityLook, equity_note
from trading.models import EquitySnapshot, Position
from trading.selectors.risk_view import MarkPrice, marks_of, realised_since_midnight
from trading.services.times import from_ms

MIN_GAP = timedelta(seconds=10)


def equity_store(*, account_id: int, wallet: Wallet, at_ms: int, transfer_usd: Decimal = ZERO) -> EquityLook | None:
    """None where the last row is too young and says the same balance; otherwise what risk made of it."""
    at = from_ms(at_ms)
    last = EquitySnapshot.objects.filter(account_id=account_id).order_by("-at").first()
    if last is not None and at <= last.at + MIN_GAP and last.wallet_balance_usd == wallet.wallet_balance_usd:
        return None
    transfers = (last.equity_usd - last.adjusted_equity_usd if last else ZERO) + transfer_usd
    EquitySnapshot.objects.create(
        account_id=account_id,
        at=at,
        equity_usd=wallet.equity_usd,
        adjusted_equity_usd=wallet.equity_usd - transfers,
        wallet_balance_usd=wallet.wallet_balance_usd,
        available_usd=wallet.available_usd,
        initial_margin_usd=wallet.initial_margin_usd,
        maintenance_margin_usd=wallet.maintenance_margin_usd,
        unrealised_pnl_usd=wallet.unrealised_pnl_usd,
    )
    return equity_note(
        account_id=account_id,
        equity_usd=wallet.equity_usd,
        open_loss_usd=_open_loss(account_id),
        realised_today_usd=realised_since_midnight(account_id, at_ms),
        now_ms=at_ms,
        transfer_usd=transfer_usd,
    )


def _open_loss(account_id: int) -> Decimal:
    positions = list(Position.objects.filter(account_id=account_id).exclude(size=0))
    marks = marks_of({row.symbol for row in positions})
    return sum((_loss(row, marks.get(row.symbol)) for row in positions), ZERO)


def _loss(position: Position, mark: MarkPrice | None) -> Decimal:
    if mark is None:
        return ZERO
    gain = abs(position.size) * mark.mark - position.entry_value_usd
    return max(-gain if position.size > 0 else gain, ZERO)
