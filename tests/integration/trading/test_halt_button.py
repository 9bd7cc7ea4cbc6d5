"""HALT means every account. Where one cannot be halted, the page says which, and which can be relied upon."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from avigrid.kernel.errors import Retryable
from risk.core.states import State, StateSource
from risk.selectors.guards import effective_state
from risk.services.states import halt
from tests.support.api_world import ApiWorld
from tests.support.trading_rows import make_account
from tests.support.users import login, make_user
from trading.services import halting

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("error", [OperationalError("lock timeout"), Retryable("books are busy")])
def test_one_account_that_fails_is_named_and_holds_up_no_other(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    stuck, already = make_account(), make_account()
    halt(account_id=already.pk, source=StateSource.OPERATOR, reason="before", actor="test")

    def halts(*, account_id: int, **asked: Any) -> Any:
        if account_id == stuck.pk:
            raise error
        return halt(account_id=account_id, **asked)

    monkeypatch.setattr(halting, "halt", halts)
    client = login(Client(), make_user("trader"))
    answer = client.post("/halt", {"next": "/plans/"})
    assert (answer.status_code, answer["Location"]) == (302, "/plans/")
    assert [effective_state(one.pk) for one in (world.account, stuck, already)] == [
        State.HALTED,
        State.ACTIVE,
        State.HALTED,
    ]
    page = client.get("/plans/").content.decode()
    assert f"NOT halted: {stuck.label}. Press HALT again; on the machine, manage.py halt does the same." in page
    assert f"Halted: {world.account.label}, {already.label}." in page
    assert "Trading was halted already." not in page
