"""Every page in Russian: no sentence and no word of English but names, units and what people typed."""

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone, translation
from django.utils.html import strip_tags

from avigrid.common.spoken import said as spoken
from risk.core.states import StateSource
from risk.services.states import halt
from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user
from tests.unit.trading.backtest.synthetic import filters, market
from trading.avi5.config import Profile, StrategyConfig
from trading.backtest.driver import run_backtest
from trading.backtest.html import report_html
from trading.backtest.report import Report, make_report
from trading.models import Decision, OutboxEvent, Plan
from trading.services import channels
from trading.services.placing import signal_place
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db
PAGES = (
    "/", "/symbols/", "/symbols/AAAUSDT/", "/decisions/", "/plans/", "/plans/{plan}/", "/performance/", "/research/",
    "/risk/", "/reconciliation/", "/system/", "/audit/", "/break-it/", "/accounts/sessions/",
)  # fmt: skip
NAMES = re.compile(
    r"AviGrid|AVI|HALT|English|API|CSV|UTC|VWAP|Donchian|TradingView|Lightweight|Charts|Inc|PnL|TP|USDT|USD|bps|win"
    r"|Redis|PostgreSQL|TimescaleDB|Python|SIGKILL|DEBUG|IOC|GTC|FOK|PostOnly|PSI|PF|ATR|AVI-|IOC-|theta|MB|GiB|avi|paper|desk"
    r"|Enter|Esc|rungs|accept|full|False|(AAA|BBB|CCC|TEST)(USDT)?|SIMULATED|doctor|stream|backfill|viewer|trader|admin|default|research|local|test"
)
CODES = re.compile(r"[\w.+-]+@[\w.-]+|\w+[_.:][\w.:]*|[0-9a-f]{8,}|av-\S+|--?[a-z-]+")
WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")


def english(html: str) -> list[str]:
    """Lines of a page with English words that are no names; what is typed, coded or meant for scripts left out."""
    html = re.sub(r"(?s)<(script|style|head|pre|textarea|option|code)\b.*?</\1>", " ", html)
    said = re.findall(r'(?:aria-label|title|placeholder|alt|data-(?:empty|failed|volume|near|far))="([^"]*)"', html)
    lines = [*strip_tags(re.sub(r"<(?!/?(?:strong|b|i|span)\b)", "\n<", html)).splitlines(), *said]
    found = []
    for line in lines:
        words = [word for word in WORD.findall(CODES.sub(" ", line)) if not NAMES.fullmatch(word)]
        if words:
            found.append(f"{line.strip()[:120]}   <- {words}")
    return found


@pytest.fixture
def world() -> ApiWorld:
    cache.clear()
    world = ApiWorld()
    spread = {"rule": "spread", "passed": False, "value": 7.5, "threshold": 5.0, "unit": "bps"}
    Decision.objects.create(
        strategy=world.version, symbol="AAAUSDT", bar_start=from_ms((world.now_ms // 300_000 - 1) * 300_000),
        decided_at=from_ms(world.now_ms), status="no_signal", indicators={"side": 1}, reason="decided late",
        rules={"long": [spread], "short": [spread], "failed": ["spread", "not_chasing"]},
    )  # fmt: skip
    return world


@pytest.fixture
def plan(world: ApiWorld) -> Plan:
    signal = world.signal()
    world.signal("BBBUSDT")
    placed = signal_place(
        signal_id=signal.pk, account_id=world.account.pk, user=None, actor="Бот", now=from_ms(world.now_ms)
    )
    plan = Plan.objects.get(pk=placed.plan_id)
    world.holding(plan)
    finding = world.finding()
    finding.kind, finding.sentence = "stop_missing", "AAAUSDT 1 has no stop at the venue."
    finding.save()
    told = "AAAUSDT 1 has no stop at the venue."
    OutboxEvent.objects.create(
        kind="stop_missing", severity="critical", created_at=timezone.now(), payload={"sentence": told}
    )
    return plan


def russian(role: str) -> Client:
    client = login(Client(), make_user(role), fresh_code=True)
    client.cookies["django_language"] = "ru"
    return client


@pytest.mark.parametrize("path", PAGES)
def test_a_page_speaks_russian(path: str, plan: Plan) -> None:
    answer = russian("admin").get(path.format(plan=plan.pk))
    assert answer.status_code == 200
    found = english(answer.content.decode())
    assert not found, "\n".join(found)


def test_a_halted_desk_and_its_refusals_speak_russian(world: ApiWorld) -> None:
    signal = world.signal()
    halt(account_id=world.account.pk, source=StateSource.OPERATOR, reason="", actor="Бот")
    trader = russian("trader")
    dialog = trader.get(f"/signals/{signal.pk}/confirm").content.decode()
    assert "Для счёта включён аварийный выключатель." in dialog
    found = english(dialog)
    assert not found, "\n".join(found)
    toast = trader.post(f"/signals/{signal.pk}/place", headers={"HX-Request": "true"}).content.decode()
    assert "Для счёта включён аварийный выключатель." in toast
    signal.valid_until = timezone.now() - timedelta(hours=1)
    signal.save()
    toast = trader.post(f"/signals/{signal.pk}/place", headers={"HX-Request": "true"}).content.decode()
    assert "Этот сигнал действовал до" in toast


def test_a_chart_speaks_russian(world: ApiWorld, plan: Plan) -> None:
    """Labels of an open plan's lines, of an offer's, and the marks of signals and fills."""
    world.bars(count=60, symbol="AAAUSDT")
    world.bars(count=60, symbol="BBBUSDT")
    Plan.objects.filter(pk=plan.pk).update(stop_price=Decimal("97.5"), stop_confirmed=None)
    client, said = russian("admin"), []
    for symbol in ("AAAUSDT", "BBBUSDT"):
        chart = client.get(f"/symbols/{symbol}/chart.json").json()
        said += [label for _price, _kind, label, _live in chart["lines"]] + [mark[3] for mark in chart["marks"]]
    assert "стоп (в пути)" in said
    assert len(said) > 6
    found = english("\n".join(said))
    assert not found, "\n".join(found)


def test_a_backtests_report_speaks_the_language_it_was_asked_in(world: ApiWorld) -> None:
    made = {language: _report(language) for language in ("en", "ru")}
    assert '<html lang="ru">' in made["ru"]
    assert "Допущения" in made["ru"]
    assert "Assumptions" in made["en"]
    assert made["en"] == report_html(_backtest())
    found = english(made["ru"])
    assert not found, "\n".join(found)


def _report(language: str) -> str:
    with translation.override(language):
        return report_html(_backtest(), language=language, say=spoken)


def _backtest() -> Report:
    loose = StrategyConfig(theta=0.1, max_cost_r=1.0, max_slippage_bps=60.0, profile=Profile.GRID)
    return make_report([run_backtest(market(3000, seed=1), loose, instrument=filters())])


def test_the_test_itself_sees_english() -> None:
    assert english("<p>Nothing is open.</p>") != []
    assert english('<p>Стоп <span title="at the venue">на бирже</span></p>') != []
    assert english("<p>Стоп AAAUSDT на 101.5 USDT</p>") == []


def test_a_telegram_message_speaks_the_installations_language(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        channels, "_post", lambda url, *, headers, data, timeout_s: sent.append(json.loads(data)["text"])
    )
    sentence = "BTCUSDT could not be given a stop and is being closed (x)."
    event = OutboxEvent(severity="critical", payload={"sentence": sentence})
    for language in ("en", "ru"):
        with translation.override(language):
            channels.Telegram("token", "1").send(event, now_s=0)
    assert sent == [
        "[critical] BTCUSDT could not be given a stop and is being closed (x).",
        "[критично] BTCUSDT: стоп поставить не удалось, позиция закрывается (x).",
    ]
