"""The doctor on a living installation, on an empty one, and with its servers away."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from avigrid.common import heartbeats
from avigrid.exchange.simulator.exchange import ExchangeConfig
from avigrid.kernel.errors import OperatorNeeded
from marketdata.runtime.venue import PublicVenue
from tests.support.simulator_server import running_simulator
from tests.support.trading_desk import trading_desk
from tests.support.trading_rows import make_account
from trading.engine.diagnosis import Check, Level
from trading.runtime.doctor import Exchange, examine
from trading.selectors.exchange_time import process_name

ROOT = Path(__file__).resolve().parents[3]


def _by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def _away() -> PublicVenue:
    raise OperatorNeeded("blocked", code="ip_blocked")


@pytest.mark.django_db(transaction=True)
def test_a_desk_with_everything_in_place(settings: Any) -> None:
    with trading_desk(symbols=("BTCUSDT", "SOLUSDT")) as desk:
        settings.AVIGRID = {
            **settings.AVIGRID,
            "SIMULATOR_URL": desk.simulator.url,
            "SYMBOLS": ["BTCUSDT", "SOLUSDT", "GONEUSDT"],
        }
        heartbeats.beat(process_name(desk.account.pk), started=True)
        checks = examine()
        found = _by_name(checks)
        label = desk.account.label
        assert found["database"].level is Level.OK
        assert found["migrations"].level is Level.OK
        assert found["redis"].level is Level.OK
        assert found["connections"].level is Level.OK
        assert found["cipher:exchange"].level is Level.OK
        assert found["cipher:notification"].level is Level.OK
        assert found["exchange:simulated"].level is Level.OK
        assert found["symbols"].sentence == "Not listed and skipped: GONEUSDT."
        assert found[f"position_mode:{label}"].level is Level.OK
        assert found[process_name(desk.account.pk).join(["process:", ""])].level is Level.OK
        assert found[f"process:watchdog:{desk.account.pk}"].level is Level.WARN
        assert found["process:market_data"].mend == "Start it: manage.py stream_market."
        assert found[f"reconciliation:{label}"].level is Level.WARN
        assert found["strategy"].level is Level.OK
        assert found["notifications"].level is Level.WARN


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"read_only": True}, "may not trade"),
        ({"hedge": False}, "is in one-way mode, hedge is wanted"),
    ],
)
def test_a_wrong_key_or_mode_is_seen_at_the_exchange(settings: Any, changes: dict[str, Any], words: str) -> None:
    with trading_desk(symbols=("BTCUSDT",)) as desk, running_simulator(config=_exchange(**changes)) as other:
        settings.AVIGRID = {**settings.AVIGRID, "SIMULATOR_URL": other.url, "SYMBOLS": ["BTCUSDT"]}
        type(desk.account).objects.filter(pk=desk.account.pk).update(base_url=other.url)
        sentences = [check.sentence for check in examine() if check.level in (Level.WARN, Level.FAIL)]
    assert any(words in sentence for sentence in sentences), sentences


def _exchange(**changes: Any) -> ExchangeConfig:
    return ExchangeConfig(orders_per_s=1_000, **changes)


@pytest.mark.django_db
def test_an_empty_installation_is_told_what_to_do() -> None:
    found = _by_name(examine(exchange=Exchange(public=_away)))
    assert found["exchange:simulated"].level is Level.FAIL
    assert "ip_blocked" in found["exchange:simulated"].sentence
    assert found["account"].mend == "Add one and its key in the admin."
    assert found["process:worker"].level is Level.WARN
    assert "0 messages wait" in found["research"].sentence
    assert "celery -A avigrid worker -Q research" in found["research"].mend


@pytest.mark.django_db
def test_without_the_exchange_no_key_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a key was opened")

    monkeypatch.setattr("trading.runtime.doctor.open_venue", never)
    monkeypatch.setattr("trading.runtime.doctor.public_venue", never)
    account = make_account("quiet desk")
    found = _by_name(examine(ask_exchange=False))
    assert found[f"key:{account.label}"].sentence == "quiet desk has no active key."
    assert "cipher:otp" in found
    assert "cipher:exchange" not in found


@pytest.mark.django_db
def test_a_proxy_nobody_named_is_seen_in_what_it_forwards(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr("accounts.services.proxies._noted_at_s", float("-inf"))
    assert _by_name(examine(ask_exchange=False))["proxies"].level is Level.OK
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    for peer in ("10.0.0.2", "172.18.0.5"):
        Client(REMOTE_ADDR=peer).get("/accounts/login/", headers={"X-Forwarded-For": "198.51.100.1"})
    found = _by_name(examine(ask_exchange=False))["proxies"]
    assert (found.level, found.sentence.split()[0]) == (Level.WARN, "172.18.0.5")


@pytest.mark.django_db
def test_a_mail_server_that_does_not_answer_is_said(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    found = _by_name(examine(exchange=Exchange(public=_away)))["mail"]
    assert (found.level, "ConnectionRefusedError" in found.sentence) == (Level.WARN, True)


@pytest.mark.django_db
def test_redis_away_is_one_failure_among_the_others(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = _by_name(examine(ask_exchange=False))
    assert found["redis"].level is Level.FAIL
    assert "REDIS_URL" in found["redis"].mend
    assert found["database"].level is Level.OK


@pytest.mark.django_db
def test_a_broken_look_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("trading.runtime.doctor.heartbeats.lives", broken)
    found = _by_name(examine(ask_exchange=False))
    assert "ZeroDivisionError" in found["processes"].sentence
    assert found["database"].level is Level.OK


@pytest.mark.django_db
def test_the_command_prints_and_exits_by_the_worst(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--no-exchange")
    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert "Add a notification channel in the admin." in said
    assert " 0 failed" in said


def test_without_any_server_it_still_answers() -> None:
    """As a person would call it on a machine where nothing runs yet."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "avigrid.settings.dev",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "AVIGRID_SIMULATOR_URL": "http://127.0.0.1:1",
        "AVIGRID_SECRET_KEY": django_settings.SECRET_KEY,
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    report = json.loads(done.stdout)
    levels = {check["name"]: check["level"] for check in report["checks"]}
    assert (levels["database"], levels["redis"]) == ("fail", "fail")
    assert levels["accounts, processes"] == "skipped"
    assert levels["python"] == "ok"
    assert "Traceback" not in done.stderr
