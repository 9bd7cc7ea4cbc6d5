"""Auto mode: off by default, one symbol, a limited time, revocable, and the same door as a person's click."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from avigrid.kernel.errors import Rejected
from risk.services.states import halt, rearm
from tests.integration.trading.test_placing import House
from tests.support.users import make_user
from trading.models import AutoMode, Plan, Signal
from trading.runtime.auto_clicks import AutoClicks
from trading.selectors.auto_mode import auto_mode_of, auto_modes_standing
from trading.services.auto_mode import auto_mode_grant, auto_mode_revoke, auto_place
from trading.services.placing import signal_place

pytestmark = pytest.mark.django_db(transaction=True)
SYMBOL = "C00USDT"


def grant(house: House, symbol: str = SYMBOL, minutes: int = 60, **changes: object) -> AutoMode:
    values = {"reason": "night shift", "otp_used": True, "now": timezone.now()} | changes
    return auto_mode_grant(
        account_id=house.account.pk, symbol=symbol, minutes=minutes, user=make_user("admin"), **values
    )


def test_it_is_off_unless_somebody_switched_it_on() -> None:
    house = House()
    signal = house.signal(SYMBOL)
    assert AutoClicks().run(house.account.pk) == 0
    answer = auto_place(signal_id=signal.pk, account_id=house.account.pk, now=timezone.now())
    assert (answer.placed, answer.code) == (False, "auto_mode_off")
    assert not Plan.objects.exists()


def test_only_the_symbol_it_is_on_for_is_placed_and_the_audit_says_who() -> None:
    house = House()
    grant(house)
    signal, other = house.signal(SYMBOL), house.signal("C01USDT")
    assert AutoClicks().run(house.account.pk) == 1
    plan = Plan.objects.get()
    assert (plan.signal_id, plan.origin, plan.placed_by_id) == (signal.pk, "auto", None)
    other.refresh_from_db()
    assert other.status == "new"
    placed = AuditEntry.objects.get(action="signal.placed")
    assert placed.after["origin"] == "auto"
    assert placed.after["plan_id"] == plan.pk


def test_the_audit_row_is_that_of_a_click() -> None:
    house = House()
    grant(house)
    house.signal(SYMBOL)
    AutoClicks().run(house.account.pk)
    by_hand = house.signal("C01USDT")
    signal_place(signal_id=by_hand.pk, account_id=house.account.pk, user=make_user("trader"))
    auto, click = AuditEntry.objects.filter(action="signal.placed").order_by("pk")
    assert auto.after.keys() == click.after.keys()
    assert (auto.after["origin"], click.after["origin"]) == ("auto", "operator")


def test_it_ends_by_itself() -> None:
    house = House()
    mode = grant(house, minutes=30, now=timezone.now() - timedelta(minutes=31))
    assert mode.until < timezone.now()
    house.signal(SYMBOL)
    assert AutoClicks().run(house.account.pk) == 0


def test_revoked_is_off_at_once() -> None:
    house = House()
    grant(house)
    user = make_user("trader")
    assert auto_mode_revoke(account_id=house.account.pk, symbol=SYMBOL, user=user, now=timezone.now()) is True
    house.signal(SYMBOL)
    assert AutoClicks().run(house.account.pk) == 0
    assert auto_mode_revoke(account_id=house.account.pk, symbol=SYMBOL, user=user, now=timezone.now()) is False
    assert AuditEntry.objects.filter(action="auto_mode.revoked").count() == 1


def test_granting_again_replaces_what_stands() -> None:
    house = House()
    grant(house, minutes=10)
    longer = grant(house, minutes=20)
    assert auto_mode_of(house.account.pk, SYMBOL, now=timezone.now()) == longer
    assert AutoMode.objects.filter(revoked_at__isnull=True).count() == 1
    assert AuditEntry.objects.filter(action="auto_mode.granted").count() == 2


def test_a_refusal_is_not_argued_with() -> None:
    """One stored verdict for one offer, however often the policy looks."""
    house = House()
    grant(house)
    Signal.objects.filter(pk=house.signal(SYMBOL).pk).update(spec=_too_large(house))
    clicks = AutoClicks()
    assert [clicks.run(house.account.pk) for _ in range(3)] == [0, 0, 0]
    assert house.account.risk_decisions.count() == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"otp_used": False}, "otp_needed"),
        ({"reason": " "}, "reason_needed"),
        ({"minutes": 4}, "auto_minutes"),
        ({"minutes": 1441}, "auto_minutes"),
        ({"symbol": "NOPEUSDT"}, "unknown_symbol"),
    ],
)
def test_what_it_refuses(changes: dict[str, object], code: str) -> None:
    house = House()
    with pytest.raises(Rejected) as refused:
        grant(house, **changes)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert not AutoMode.objects.exists()


@pytest.mark.parametrize("symbol", [None, SYMBOL], ids=["account", "symbol"])
def test_a_halt_ends_it_for_good(symbol: str | None) -> None:
    """Also one that was re-armed before any process looked."""
    house = House()
    grant(house)
    grant(house, "C01USDT")
    admin = make_user("admin")
    halt(account_id=house.account.pk, symbol=symbol, reason="odd prices", actor="test")
    rearm(account_id=house.account.pk, symbol=symbol, reason="checked", actor=admin, otp_used=True)
    assert auto_mode_of(house.account.pk, SYMBOL, now=timezone.now()) is None
    left = [mode.symbol for mode in auto_modes_standing(house.account.pk, now=timezone.now())]
    assert left == ([] if symbol is None else ["C01USDT"])
    house.signal(SYMBOL)
    assert AutoClicks().run(house.account.pk) == 0
    assert not Plan.objects.exists()
    rows = AuditEntry.objects.filter(action="auto_mode.revoked")
    assert sorted(row.before["symbol"] for row in rows) == ([SYMBOL, "C01USDT"] if symbol is None else [SYMBOL])
    assert {row.reason for row in rows} == {"HALT"}
    assert AutoClicks().run(house.account.pk) == 0
    assert rows.count() == (2 if symbol is None else 1)
    grant(house)
    assert AutoClicks().run(house.account.pk) == 1


def test_while_halted_nobody_grants_it() -> None:
    house = House()
    halt(account_id=house.account.pk, reason="odd prices", actor="test")
    with pytest.raises(Rejected) as refused:
        grant(house)
    assert refused.value.code == "halted"


def _too_large(house: House) -> dict[str, object]:
    spec = dict(house.signal("C02USDT").spec)
    return spec | {"symbol": SYMBOL, "planned_loss_usd": "1000"}
