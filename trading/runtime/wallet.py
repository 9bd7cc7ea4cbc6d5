"""The venue's transaction log against our ledger: every row of theirs has its counterpart, or is a named difference."""

from decimal import Decimal

from avigrid.kernel.money import ZERO, plain
from avigrid.kernel.portfolio import LedgerRow
from trading.engine.differences import Difference, Kind
from trading.models import LedgerEntry, LedgerKind
from trading.services.times import from_ms

TOLERATED_USD = Decimal("0.01")
_TRADES = frozenset({"TRADE", "LIQUIDATION", "DELIVERY", "ADL", "SETTLEMENT"})


def wallet_check(*, account_id: int, rows: list[LedgerRow], end_ms: int) -> tuple[Decimal, list[Difference]]:
    """Books transfers; returns what came in or went out newly, and the day's difference where it is not explained.

    Callers hold the account's lock.
    """
    transfers = ZERO
    theirs: dict[str, Decimal] = {"trades": ZERO, "fees": ZERO, "funding": ZERO}
    for row in rows:
        if row.kind.upper() in _TRADES:
            theirs["trades"] += row.cash_flow_usd
            theirs["fees"] -= row.fee_usd
            theirs["funding"] += row.funding_usd
            continue
        _, is_new = LedgerEntry.objects.get_or_create(
            account_id=account_id,
            kind=LedgerKind.TRANSFER,
            reference=row.row_id[:80],
            defaults={
                "symbol": row.symbol,
                "change_usd": row.change_usd,
                "note": row.kind[:120],
                "at": from_ms(row.time_ms),
            },
        )
        if is_new:
            transfers += row.change_usd
    if not rows:
        return transfers, []
    ours = _ours(account_id, min(row.time_ms for row in rows), max(row.time_ms for row in rows))
    off = {name: ours[name] - theirs[name] for name in theirs}
    total = sum(off.values(), ZERO)
    if abs(total) <= TOLERATED_USD:
        return transfers, []
    bridge = {
        f"{name}_{side}": plain(values[name]) for side, values in (("ours", ours), ("venue", theirs)) for name in values
    }
    return transfers, [
        Difference(
            Kind.WALLET_OFF,
            f"{from_ms(end_ms):%Y-%m-%d}",
            "",
            f"Ledger and wallet differ by {plain(round(total, 4))} USD over the last day.",
            bridge,
        )
    ]


def _ours(account_id: int, first_ms: int, last_ms: int) -> dict[str, Decimal]:
    entries = LedgerEntry.objects.filter(account_id=account_id, at__gte=from_ms(first_ms), at__lte=from_ms(last_ms))
    sums = {"trades": ZERO, "fees": ZERO, "funding": ZERO}
    names = {LedgerKind.TRADE.value: "trades", LedgerKind.FEE.value: "fees", LedgerKind.FUNDING.value: "funding"}
    for kind, change in entries.values_list("kind", "change_usd"):
        if kind in names:
            sums[names[kind]] += change
    return sums
