"""The doctor: finds the facts that `trading.engine.diagnosis` judges. Changes nothing; each server may be away.

A page may call `examine(ask_exchange=False)`: it then opens no key and speaks to nobody but database, Redis and cipher.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import redis
import structlog
from celery import current_app
from django.conf import settings
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.ciphers import Purpose
from accounts.selectors.cipher_state import cipher_state
from accounts.selectors.trading_accounts import active_key, trading_accounts
from accounts.services.links import mail_is_configured
from accounts.services.proxies import unnamed_proxy
from avigrid.common import heartbeats
from avigrid.common.dependencies import database_answers
from avigrid.common.embedded import ROOT, VAR
from avigrid.exchange.ports import OrderGateway
from avigrid.kernel.errors import AviGridError
from avigrid.kernel.portfolio import KeyInfo
from marketdata.runtime.venue import PublicVenue, public_venue
from trading.engine import diagnosis
from trading.engine.diagnosis import Check, Level
from trading.runtime.venue import open_venue
from trading.selectors.exchange_time import process_name
from trading.selectors.strategy import active_version
from trading.services.channels import channel_count
from trading.services.notifications import outbox_backlog
from trading.services.watching import reconciliation_age_s

if TYPE_CHECKING:
    from accounts.models import TradingAccount

log = structlog.get_logger(__name__)
ASK_WORKERS_S = 1.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """How the doctor reaches it; replaced in tests."""

    public: Callable[[], PublicVenue] = public_venue
    private: Callable[[int], OrderGateway] = lambda account_id: open_venue(account_id, process="doctor").gateway


def examine(*, ask_exchange: bool = True, exchange: Exchange | None = None) -> list[Check]:
    """Every check, in reading order. Never raises: what cannot be examined says why."""
    checks = [diagnosis.python_version(sys.version_info[:3]), *_disks()]
    has_database = False
    try:
        database_answers()
        has_database = True
    except Exception as error:  # whatever the driver raises
        checks.append(diagnosis.database_away(type(error).__name__))
    accounts: Sequence[TradingAccount] = ()
    if has_database:
        checks += _safely("database", _database)
        accounts = _accounts()
    environments = [account.environment for account in accounts]
    checks.append(
        diagnosis.debug_mode(is_on=settings.DEBUG, is_demo=settings.AVIGRID["DEMO"], environments=environments)
    )
    checks += _safely("redis", _redis)
    # a page may open one-time-password secrets only
    purposes = list(Purpose) if ask_exchange else [Purpose.OTP]
    checks += _safely("cipher", lambda: _ciphers(purposes, environments))
    checks += _safely("mail", lambda: _mail(ask=ask_exchange))
    checks += _safely("proxies", _proxies)
    if not has_database:
        return [*checks, diagnosis.skipped("accounts, processes", "the database is away")]
    if ask_exchange:
        checks += _safely("exchange", lambda: _exchange(accounts, exchange or Exchange()))
    else:
        checks += _safely("keys", lambda: _stored_keys(accounts))
    checks += _safely("processes", lambda: _processes(accounts))
    if ask_exchange:
        checks += _safely("research", _research)
    return checks


def _safely(name: str, look: Callable[[], Iterator[Check]]) -> list[Check]:
    found: list[Check] = []
    try:
        found.extend(look())
    except Exception as error:  # one broken look must not hide the others
        log.warning("doctor_failed", check=name, error=type(error).__name__)
        sentence = f"The examination itself failed ({type(error).__name__})."
        found.append(Check(name, Level.FAIL, sentence, "Read the log for the reason."))
    return found


def _disks() -> Iterator[Check]:
    folders = {"the installation": ROOT, "logs": Path(settings.AVIGRID["LOG_FOLDER"] or VAR)}
    seen = set()
    for what, folder in folders.items():
        while not folder.exists():
            folder = folder.parent
        device = folder.stat().st_dev
        if device not in seen:
            seen.add(device)
            usage = shutil.disk_usage(folder)
            yield diagnosis.disk(what, usage.free, usage.total)


def _database() -> Iterator[Check]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('max_connections')::int")
        version, limit = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        used = cursor.fetchone()[0]
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
        row = cursor.fetchone()
    yield diagnosis.database_version(version)
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    yield diagnosis.migrations([f"{step.app_label}.{step.name}" for step, _ in plan])
    yield diagnosis.timescale(row[0] if row else None)
    yield diagnosis.connections(used, limit)


def _redis() -> Iterator[Check]:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
    try:
        version = str(client.info("server").get("redis_version", "0"))
        try:
            policy = str(client.config_get("maxmemory-policy").get("maxmemory-policy", ""))
        except redis.ResponseError:  # managed servers forbid CONFIG
            policy = ""
    except (redis.RedisError, OSError) as error:
        yield diagnosis.redis_away(type(error).__name__)
        return
    finally:
        client.close()
    yield diagnosis.redis_version(version, policy)


def _ciphers(purposes: Sequence[Purpose], environments: Sequence[str]) -> Iterator[Check]:
    for purpose in purposes:
        state = cipher_state(purpose)
        yield diagnosis.cipher(
            purpose.value,
            works=state.ok,
            kind=settings.SECRETS_BACKEND,
            sentence=state.sentence,
            environments=environments,
        )


def _mail(*, ask: bool) -> Iterator[Check]:
    error = ""
    if ask and mail_is_configured():
        try:
            with get_connection(timeout=5):
                pass
        except OSError as refused:
            error = type(refused).__name__
    yield diagnosis.mail(is_configured=mail_is_configured(), is_demo=settings.AVIGRID["DEMO"], error=error)


def _proxies() -> Iterator[Check]:
    yield diagnosis.proxies(
        are_named=bool(settings.TRUSTED_PROXIES),
        are_expected=settings.SECURE_PROXY_SSL_HEADER is not None,
        unnamed=unnamed_proxy(),
    )


def _accounts() -> "Sequence[TradingAccount]":
    """None while the tables are not there."""
    try:
        return list(trading_accounts())
    except DatabaseError:
        return ()


def _exchange(accounts: "Sequence[TradingAccount]", exchange: Exchange) -> Iterator[Check]:
    environment = str(settings.AVIGRID["MARKET_ENVIRONMENT"])
    try:
        venue = exchange.public()
        offset_ms = venue.clock.now_ms() - round(timezone.now().timestamp() * 1000)
        yield diagnosis.clock_offset(environment, offset_ms)
        wanted = list(settings.AVIGRID["SYMBOLS"])
        yield diagnosis.symbols(wanted, [row.symbol for row in venue.reader.instruments()])
    except AviGridError as error:
        yield diagnosis.exchange_away(environment, error.code)
        yield from _stored_keys(accounts)
        return
    if not accounts:
        yield diagnosis.no_account()
    for account in accounts:
        if active_key(account) is None:
            yield diagnosis.no_key(account.label)
            continue
        try:
            gateway = exchange.private(account.pk)
            yield from diagnosis.key(account.label, gateway.key_info(), timezone.now())
            symbol = next(iter(wanted), "BTCUSDT")
            yield diagnosis.position_mode(
                account.label, wants_hedge=account.hedge_mode, rows_of_a_symbol=len(gateway.position(symbol))
            )
        except AviGridError as error:
            yield diagnosis.exchange_away(f"{account.environment} ({account.label})", error.code)


def _stored_keys(accounts: "Sequence[TradingAccount]") -> Iterator[Check]:
    """As the exchange described them when they were added."""
    if not accounts:
        yield diagnosis.no_account()
    for account in accounts:
        row = active_key(account)
        if row is None:
            yield diagnosis.no_key(account.label)
            continue
        info = KeyInfo(
            read_only=row.read_only,
            can_trade=bool(row.permissions.get("trade", not row.read_only)),
            can_withdraw=bool(row.permissions.get("withdraw", False)),
            ip_bound=row.ip_bound,
            user_id="",
            expires=str(row.permissions.get("expires", "")),
        )
        yield from diagnosis.key(account.label, info, timezone.now())


def _research() -> Iterator[Check]:
    """Asks the workers themselves: one that is busy for an hour answers too."""
    is_on = bool(settings.AVIGRID["RESEARCH"])
    try:
        found = current_app.control.inspect(timeout=ASK_WORKERS_S).active_queues() if is_on else None
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
            waiting = int(client.llen(f"{settings.REDIS_PREFIX}:research"))
    except Exception as error:  # whatever the broker's client raises
        yield diagnosis.skipped("research", f"Redis is away ({type(error).__name__})")
        return
    serving = [name for name, queues in (found or {}).items() if any(row.get("name") == "research" for row in queues)]
    yield diagnosis.research(is_on=is_on, workers=len(serving), waiting=waiting)


def _processes(accounts: "Sequence[TradingAccount]") -> Iterator[Check]:
    ages: dict[str, float] = {}
    for life in heartbeats.lives():
        for name in (life.process, life.process.split(":")[0]):
            ages[name] = min(life.age_s, ages.get(name, float("inf")))
    yield diagnosis.heartbeat("market_data", ages.get("market_data"), "manage.py stream_market")
    yield diagnosis.heartbeat(
        "worker", ages.get("worker"), "celery -A avigrid worker -Q default, and celery -A avigrid beat"
    )
    now = timezone.now()
    for account in accounts:
        name = process_name(account.pk)
        yield diagnosis.heartbeat(name, ages.get(name), f"manage.py stream_account --account {account.pk}")
        watchdog = f"watchdog:{account.pk}"
        yield diagnosis.heartbeat(watchdog, ages.get(watchdog), f"manage.py watchdog --account {account.pk}")
        yield diagnosis.reconciliation(account.label, reconciliation_age_s(account.pk, now))
    version = active_version()
    yield diagnosis.strategy(None if version is None else f"{version.name} v{version.version} ({version.stage})")
    pending, oldest_s = outbox_backlog(now)
    yield diagnosis.notifications(channel_count(), pending, oldest_s)
