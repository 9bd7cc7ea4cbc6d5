"""What a fresh demo desk needs before its processes start: people, an account with a key, a strategy version."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts.services.api_keys import Credentials, api_key_add
from accounts.services.demo import DemoUser, demo_users_create
from accounts.services.trading_accounts import trading_account_create
from avigrid.exchange.bybit.connect import connect, settle_clock
from avigrid.exchange.bybit.environments import Endpoints
from avigrid.kernel.errors import Retryable
from avigrid.kernel.portfolio import KeyInfo
from marketdata.services.demo_history import demo_history_store
from marketdata.services.instruments import instruments_refresh
from trading.avi5.config import StrategyConfig
from trading.models import Stage
from trading.services.strategy_versions import strategy_version_create

HISTORY_DAYS = 60
"""Enough for a calibration with some steps; a minute of it takes a tenth of a millisecond to make up."""


@dataclass(frozen=True, slots=True)
class DemoData:
    account_id: int
    people: Sequence[DemoUser]
    symbols: tuple[str, ...]


def demo_data_create(
    *, base_url: str, api_key: str, api_secret: str, hedge_mode: bool, symbols: Sequence[str], config: StrategyConfig
) -> DemoData:
    """`symbols` empty: everything the simulated exchange lists."""
    client = connect(Endpoints.simulated(base_url), api_key=api_key, api_secret=api_secret, account="demo")
    settle_clock(client.clock, simulated=True)
    listed = [spec.symbol for spec in client.market.instruments()]
    chosen = tuple(symbols or listed)
    people = demo_users_create()
    account = trading_account_create(
        label="Demo", environment="simulated", hedge_mode=hedge_mode, base_url=base_url, actor="demo"
    )

    def trial(_: object, credentials: Credentials) -> KeyInfo:
        for _attempt in range(4):  # a machine busy with starting may let the fast clock slip
            client.clock.measure()
            with contextlib.suppress(Retryable):
                return client.gateway.key_info()
        return client.gateway.key_info()

    api_key_add(account=account, label="Demo key", key_id=api_key, secret=api_secret, trial=trial, actor="demo")
    with transaction.atomic():
        strategy_version_create(config=config, stage=Stage.PAPER, note="Demo defaults", actor=None, now=timezone.now())
        instruments_refresh(reader=client.market, wanted=chosen, now_ms=client.clock.now_ms())
    return DemoData(account.pk, people, chosen)


def demo_history_create(*, base_url: str, symbols: Sequence[str], seed: int, is_synthetic: bool) -> int:
    """Bars for research, bulk-stored beside the running desk; returns how many. Nobody decides on them."""
    client = connect(Endpoints.simulated(base_url), account="history")
    settle_clock(client.clock, simulated=True)
    return demo_history_store(
        reader=client.market,
        symbols=symbols,
        now_ms=client.clock.now_ms(),
        days=HISTORY_DAYS,
        seed=seed,
        is_synthetic=is_synthetic,
    )
