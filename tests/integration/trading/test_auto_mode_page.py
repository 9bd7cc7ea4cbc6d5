"""Auto mode on the Risk page: seen by everybody, granted with a fresh code, revoked with one click, marked on top."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from risk.services.states import halt
from tests.support.api_world import ApiWorld
from tests.support.users import code_for, login, make_user
from trading.models import AutoMode

pytestmark = pytest.mark.django_db
WISH = {"symbol": "AAAUSDT", "hours": "1.5", "reason": "lunch"}
MARK = "auto: AAAUSDT</a>"


def shown(client: Client, path: str = "/risk/") -> str:
    return client.get(path).content.decode()


def granted(**changes: str) -> Client:
    user = make_user("trader")
    trader = login(Client(), user)
    trader.post("/risk/auto-mode", {**WISH, "otp_code": code_for(user), **changes})
    return trader


def test_granted_shown_everywhere_and_revoked(world: ApiWorld) -> None:
    viewer = login(Client(), make_user("viewer"))
    assert "Off everywhere" in shown(viewer)
    assert MARK not in shown(viewer, "/plans/")
    before = timezone.now()
    trader = granted()
    mode = AutoMode.objects.get()
    assert timedelta(minutes=89) < mode.until - before < timedelta(minutes=91)
    for page in (shown(viewer), shown(trader)):
        assert 'data-auto="AAAUSDT"' in page
        assert "lunch" in page
        assert str(mode.granted_by) in page
    assert MARK in shown(viewer, "/plans/")
    assert "/risk/auto-mode/revoke" not in shown(viewer)
    assert "/risk/auto-mode/revoke" in shown(trader)
    panel = trader.post("/risk/auto-mode/revoke", {"symbol": "AAAUSDT"}).content.decode()
    assert panel.startswith('<section class="panel" id="fragment-auto_modes"')
    assert "Off everywhere" in panel
    assert MARK not in shown(viewer, "/plans/")


def test_a_viewer_is_offered_nothing_and_may_nothing(world: ApiWorld) -> None:
    viewer = login(Client(), make_user("viewer"))
    assert 'action="/risk/auto-mode"' not in shown(viewer)
    granted()
    assert viewer.post("/risk/auto-mode", WISH).status_code == 403
    assert viewer.post("/risk/auto-mode/revoke", {"symbol": "AAAUSDT"}).status_code == 403
    assert AutoMode.objects.get().revoked_at is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hours": "25"}, "Auto mode lasts 5 to 1440 minutes, not 1500."),
        ({"hours": "soon"}, "not 0."),
        ({"hours": "1e999999"}, "not 0."),
        ({"hours": "NaN"}, "not 0."),
        ({"symbol": "NOPEUSDT"}, "NOPEUSDT is not traded here."),
        ({"reason": " "}, "This needs a reason."),
    ],
)
def test_a_wish_that_will_not_do_gets_a_sentence(world: ApiWorld, changes: dict[str, str], sentence: str) -> None:
    assert sentence in shown(granted(**changes))
    assert not AutoMode.objects.exists()


def test_without_a_fresh_code_nothing_is_granted(world: ApiWorld) -> None:
    assert shown(granted(otp_code="000000"))
    assert not AutoMode.objects.exists()


def test_a_halt_takes_it_from_the_screen_at_once(world: ApiWorld) -> None:
    trader = granted()
    halt(account_id=world.account.pk, reason="odd prices", actor="test")
    assert "Off everywhere" in shown(trader)
    assert MARK not in shown(trader)
