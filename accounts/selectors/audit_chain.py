"""Proves the audit chain, or names the first row that does not fit."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC

from accounts.core.audit_digest import GENESIS, entry_digest, link_hash
from accounts.models import AuditEntry, AuditHead, AuditLink

_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class BadRow:
    """`entry_id` is None where the entry itself is gone."""

    seq: int
    entry_id: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    checked: int
    head_seq: int
    head_hash: str
    first_bad: BadRow | None

    @property
    def is_good(self) -> bool:
        return self.first_bad is None


def digest_of(entry: AuditEntry) -> str:
    """What the digest covers: every column but the row number, which the link names."""
    return entry_digest(
        {
            "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": entry.actor_id,
            "actor_name": entry.actor_name,
            "action": entry.action,
            "object_type": entry.object_type,
            "object_id": entry.object_id,
            "before": entry.before,
            "after": entry.after,
            "reason": entry.reason,
            "ip": entry.ip,
            "otp_used": entry.otp_used,
        }
    )


def verify_chain(*, anchor: tuple[int, str] | None = None) -> ChainReport:
    """Walk the chain from the start.

    `anchor` is a (seq, hash) noted earlier outside the database: with it, even somebody who owns the database and
    rebuilds the chain cannot hide a change before the anchor.
    """
    # Read first: links added while we walk lie beyond it.
    head = AuditHead.objects.first()
    head_seq, head_hash = (head.seq, head.hash) if head else (0, GENESIS)
    checked, previous, bad = 0, GENESIS, None
    for link, entry in _pairs(head_seq):
        bad = _problem(link=link, entry=entry, expected_seq=checked + 1, previous=previous)
        if bad is None and anchor is not None and link.seq == anchor[0] and link.hash != anchor[1]:
            bad = BadRow(link.seq, link.entry_id, "the chain before this row differs from the anchor")
        if bad is not None:
            break
        checked, previous = checked + 1, link.hash
    bad = bad or _cut_off(checked, previous, head_seq, head_hash, anchor) or _unlinked(checked)
    return ChainReport(checked=checked, head_seq=head_seq, head_hash=head_hash, first_bad=bad)


def _pairs(last_seq: int) -> Iterator[tuple[AuditLink, AuditEntry | None]]:
    after = -1
    while True:
        links = list(AuditLink.objects.filter(seq__gt=after, seq__lte=last_seq).order_by("seq")[:_CHUNK])
        if not links:
            return
        entries = AuditEntry.objects.in_bulk([link.entry_id for link in links])
        for link in links:
            yield link, entries.get(link.entry_id)
        after = links[-1].seq


def _problem(*, link: AuditLink, entry: AuditEntry | None, expected_seq: int, previous: str) -> BadRow | None:
    if link.seq != expected_seq:
        return BadRow(expected_seq, None, f"the link is missing; the next one is {link.seq}")
    if entry is None:
        return BadRow(link.seq, None, f"the entry {link.entry_id} is missing")
    if digest_of(entry) != entry.digest:
        return BadRow(link.seq, entry.pk, "the entry was changed after it was written")
    if link.prev_hash != previous:
        return BadRow(link.seq, entry.pk, "the link does not continue the one before it")
    if link_hash(previous, entry.digest) != link.hash:
        return BadRow(link.seq, entry.pk, "the link does not belong to this entry")
    return None


def _cut_off(
    checked: int, previous: str, head_seq: int, head_hash: str, anchor: tuple[int, str] | None
) -> BadRow | None:
    if checked != head_seq or previous != head_hash:
        return BadRow(checked + 1, None, f"the chain ends at {checked}, its head says {head_seq}")
    if anchor is not None and anchor[0] > checked:
        return BadRow(checked + 1, None, f"the chain ends at {checked}, the anchor says {anchor[0]}")
    return None


def _unlinked(checked: int) -> BadRow | None:
    """An entry that never got its link was inserted with the trigger switched off."""
    entry = AuditEntry.objects.filter(link__isnull=True).order_by("pk").first()
    return None if entry is None else BadRow(checked + 1, entry.pk, "the entry has no link in the chain")
