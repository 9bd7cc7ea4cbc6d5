"""Wallet readings: one row every few seconds at most, and risk told of every one."""

from datetime import timedelta
from decimal import Decimal

from django.db.models import Sum

from avigrid.kernel.money import ZERO
from avigrid.kernel.portfolio import Wallet
from risk.services.meters import EquityLook, equity_note
from trading.models import EquitySnapshot, LedgerEntry, Position
from trading.selectors.risk_view import MarkPrice, marks_of, realised_since_midnight
from trading.services.times import from_ms

MIN_GAP = timedelta(seconds=10)
TOLERATED_USD = Decimal("0.01")


def equity_store(
    *, account_id: int, wallet: Wallet, at_ms: int, transfer_usd: Decimal | None = None
) -> EquityLook | None:
    """None where nothing was stored; otherwise what risk made of it.

    `transfer_usd` None: the caller has not looked for transfers. Then a balance that the booked entries do not explain
    is left alone until somebody has: a withdrawal must not look like a loss, nor a deposit like a gain.
    """
    at = from_ms(at_ms)
    last = EquitySnapshot.objects.filter(account_id=account_id).order_by("-at").first()
    if transfer_usd is None:
        if abs(balance_gap(account_id, wallet)) > TOLERATED_USD:
            return None
        transfer_usd = ZERO
    is_repeat = last is not None and at <= last.at + MIN_GAP and last.wallet_balance_usd == wallet.wallet_balance_usd
    if is_repeat and not transfer_usd:
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


def balance_gap(account_id: int, wallet: Wallet) -> Decimal:
    """What the wallet changed since the last row beyond the entries booked since."""
    last = EquitySnapshot.objects.filter(account_id=account_id).order_by("-at").first()
    if last is None:
        return ZERO
    booked = LedgerEntry.objects.filter(account_id=account_id, at__gt=last.at).aggregate(total=Sum("change_usd"))
    return wallet.wallet_balance_usd - last.wallet_balance_usd - (booked["total"] or ZERO)


def _open_loss(account_id: int) -> Decimal:
    positions = list(Position.objects.filter(account_id=account_id).exclude(size=0))
    marks = marks_of({row.symbol for row in positions})
    return sum((_loss(row, marks.get(row.symbol)) for row in positions), ZERO)


def _loss(position: Position, mark: MarkPrice | None) -> Decimal:
    if mark is None:
        return ZERO
    gain = abs(position.size) * mark.mark - position.entry_value_usd
    return max(-gain if position.size > 0 else gain, ZERO)
