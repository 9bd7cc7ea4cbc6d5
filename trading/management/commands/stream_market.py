"""`manage.py stream_market`: streams, bars, books, decisions. Run as many as you like: they share the symbols."""

import asyncio
from typing import Any

from django.core.management.base import BaseCommand

from accounts.services.processes import process_audited
from avigrid.common import push
from trading.runtime.market_loop import MarketLoop


class Command(BaseCommand):
    help = "Follow the market and decide on every 5-minute close. Example: manage.py stream_market"

    def handle(self, *args: Any, **options: Any) -> None:
        push.start_background()  # a decision does not wait for the screens
        with process_audited("market_data"):
            asyncio.run(MarketLoop().run())
