"""Prove the audit chain."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.selectors.audit_chain import ChainReport, verify_chain


class Command(BaseCommand):
    help = (
        "Prove the audit chain, or name the first bad row (exit code 1). The last line is an anchor: keep it outside "
        "the database and give it back later. Example: manage.py verify_audit --anchor 1200:9f2c..."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--anchor", default="", help="SEQ:HASH printed by an earlier run")
        parser.add_argument("--json", action="store_true", help="machine-readable answer")

    def handle(self, *args: Any, anchor: str, json: bool, **options: Any) -> None:  # noqa: A002
        report = verify_chain(anchor=_anchor(anchor))
        if json:
            self.stdout.write(_as_json(report))
        if report.first_bad is not None:
            bad = report.first_bad
            raise CommandError(f"BAD row {bad.seq} (entry {bad.entry_id or 'gone'}): {bad.problem}", returncode=1)
        if not json:
            self.stdout.write(f"The audit chain is whole: {report.checked} rows.")
            self.stdout.write(f"{report.head_seq}:{report.head_hash}")


def _anchor(text: str) -> tuple[int, str] | None:
    if not text:
        return None
    seq, _, value = text.partition(":")
    if not seq.isdigit() or len(value) != 64:
        raise CommandError("--anchor is SEQ:HASH as an earlier run printed it", returncode=2)
    return int(seq), value


def _as_json(report: ChainReport) -> str:
    bad = report.first_bad
    return json.dumps(
        {
            "good": report.is_good,
            "checked": report.checked,
            "anchor": f"{report.head_seq}:{report.head_hash}",
            "first_bad": None if bad is None else {"seq": bad.seq, "entry": bad.entry_id, "problem": bad.problem},
        }
    )
