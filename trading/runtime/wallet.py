"""The venue's transaction log against our ledger: every row of theirs has its counterpart, or is a named difference."""

from decimal import Decimal

from avigrid.kernel.money import ZERO, plain
from avigrid.kernel.portfolio import LedgerRow
from trading.engine.bridge import BookedMoney, Bridge, Part, bridge, part_of
from trading.engine.differences import Difference, Kind
from trading.models import LedgerEntry, LedgerKind
from trading.services.times import from_ms, to_ms

_PARTS = {
    LedgerKind.TRADE.value: Part.TRADES,
    LedgerKind.FEE.value: Part.FEES,
    LedgerKind.FUNDING.value: Part.FUNDING,
    LedgerKind.TRANSFER.value: Part.TRANSFERS,
}
_LINES_SHOWN = 20


def wallet_check(*, account_id: int, rows: list[LedgerRow], end_ms: int) -> tuple[Decimal, list[Difference]]:
    """Books transfers; returns what came in or went out newly, and the day's difference where it is not explained.

    Callers hold the account's lock.
    """
    moved_usd = sum((_transfer_book(account_id, row) for row in rows if part_of(row) is Part.TRANSFERS), ZERO)
    if not rows:
        return moved_usd, []
    found = ledger_bridge(account_id=account_id, rows=rows)
    if found.is_even:
        return moved_usd, []
    sentence = f"Ledger and wallet differ by {plain(round(-found.gap_usd, 4))} USD over the last day."
    return moved_usd, [Difference(Kind.WALLET_OFF, f"{from_ms(end_ms):%Y-%m-%d}", "", sentence, bridge_numbers(found))]


def ledger_bridge(*, account_id: int, rows: list[LedgerRow]) -> Bridge:
    """Our entries from the first to the last of these rows, against them."""
    first_ms, last_ms = min(row.time_ms for row in rows), max(row.time_ms for row in rows)
    entries = LedgerEntry.objects.filter(account_id=account_id, at__gte=from_ms(first_ms), at__lte=from_ms(last_ms))
    return bridge(
        rows,
        [
            BookedMoney(
                part=_PARTS[entry.kind],
                reference=entry.reference,
                symbol=entry.symbol,
                change_usd=entry.change_usd,
                at_ms=to_ms(entry.at),
                is_foreign=entry.plan_id is None and entry.kind != LedgerKind.TRANSFER,
            )
            for entry in entries
        ],
    )


def bridge_numbers(found: Bridge) -> dict[str, str]:
    """Sums of both sides, and the rows that differ, the largest first."""
    numbers = {
        f"{part}_{side}": plain(sums[part])
        for side, sums in (("ours", found.books), ("venue", found.venue))
        for part in Part
    }
    numbers["without_a_plan"] = plain(found.foreign_usd)
    largest = sorted(found.lines, key=lambda line: -abs(line.gap_usd))
    for number, line in enumerate(largest[:_LINES_SHOWN], 1):
        numbers[f"difference_{number}"] = line.sentence
    if len(largest) > _LINES_SHOWN:
        numbers["differences_more"] = str(len(largest) - _LINES_SHOWN)
    return numbers


def _transfer_book(account_id: int, row: LedgerRow) -> Decimal:
    _, is_new = LedgerEntry.objects.get_or_create(
        account_id=account_id,
        kind=LedgerKind.TRANSFER,
        reference=row.row_id,
        defaults={
            "symbol": row.symbol,
            "change_usd": row.change_usd,
            "note": row.kind[:120],
            "at": from_ms(row.time_ms),
        },
    )
    return row.change_usd if is_new else ZERO
