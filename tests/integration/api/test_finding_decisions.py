"""What a person says about a thing at the venue that is not ours, over the API."""

from typing import Any
from uuid import uuid4

import pytest

from accounts.models import AuditEntry
from tests.support.api_world import ApiWorld
from tests.support.users import api_client, make_user
from trading.models import ReconciliationFinding

pytestmark = pytest.mark.django_db


def foreign(world: ApiWorld, kind: str) -> ReconciliationFinding:
    finding = world.finding("AAAUSDT/1")
    finding.kind = kind
    finding.save()
    return finding


def decide(client: Any, finding: int, wish: str, reason: str = "", key: str = "") -> Any:
    return client.post(
        f"/api/v1/reconciliation/findings/{finding}/decide",
        {"wish": wish, "reason": reason},
        format="json",
        HTTP_IDEMPOTENCY_KEY=key or str(uuid4()),
    )


@pytest.mark.parametrize(
    ("kind", "wish", "action"),
    [
        ("position_foreign", "adopt", "adopt asked"),
        ("position_foreign", "flatten", "flatten asked"),
        ("position_foreign", "ignore", "ignored by a person"),
        ("order_foreign", "cancel", "cancel asked"),
        ("order_foreign", "ignore", "ignored by a person"),
    ],
)
def test_a_wish_is_kept_for_the_execution_process_and_audited(
    world: ApiWorld, kind: str, wish: str, action: str
) -> None:
    finding, user = foreign(world, kind), make_user("trader")
    answer = decide(api_client(user), finding.pk, wish, "opened by hand")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["action"], answer.json()["is_open"]) == (action, True)
    finding.refresh_from_db()
    assert (finding.details["wish"], finding.is_open) == (wish, True)
    row = AuditEntry.objects.get(action=f"finding.{wish}")
    assert (row.actor, row.reason) == (user, "opened by hand")
    assert (row.before, row.after) == ({"wish": None}, {"wish": wish, "subject": "AAAUSDT/1"})


def test_a_claim_settles_it_at_once(world: ApiWorld) -> None:
    finding, user = foreign(world, "order_foreign"), make_user("trader")
    answer = decide(api_client(user), finding.pk, "claim", "my own hedge")
    assert (answer.status_code, answer.json()["is_open"]) == (200, False)
    finding.refresh_from_db()
    assert (finding.is_open, finding.resolution) == (False, "claimed")
    assert AuditEntry.objects.get(action="finding.claim").actor == user


def test_a_new_wish_replaces_one_not_carried_out_and_the_same_again_is_not_audited(world: ApiWorld) -> None:
    finding, trader = foreign(world, "position_foreign"), api_client(make_user("trader"))
    for wish in ("ignore", "flatten", "flatten"):
        assert decide(trader, finding.pk, wish).status_code == 200
    finding.refresh_from_db()
    assert finding.details["wish"] == "flatten"
    assert AuditEntry.objects.get(action="finding.flatten").before == {"wish": "ignore"}


@pytest.mark.parametrize(
    ("kind", "wish"),
    [
        ("position_foreign", "claim"),
        ("position_foreign", "cancel"),
        ("order_foreign", "adopt"),
        ("order_foreign", "flatten"),
        ("position_differs", "ignore"),
    ],
)
def test_what_one_cannot_wish_for_it_is_refused(world: ApiWorld, kind: str, wish: str) -> None:
    finding = foreign(world, kind)
    answer = decide(api_client(make_user("trader")), finding.pk, wish)
    assert (answer.status_code, answer.json()["code"]) == (409, "wish_impossible")
    finding.refresh_from_db()
    assert "wish" not in finding.details
    assert not AuditEntry.objects.filter(action__startswith="finding.").exists()


def test_a_settled_one_and_one_that_never_was(world: ApiWorld) -> None:
    finding, trader = foreign(world, "order_foreign"), api_client(make_user("trader"))
    assert decide(trader, finding.pk, "claim").status_code == 200
    answer = decide(trader, finding.pk, "cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "finding_closed")
    assert decide(trader, finding.pk + 1_000, "cancel").status_code == 404


def test_a_word_that_is_no_wish_is_bad_input(world: ApiWorld) -> None:
    finding = foreign(world, "order_foreign")
    assert decide(api_client(make_user("trader")), finding.pk, "sell").status_code == 400


def test_only_who_may_reconcile_decides(world: ApiWorld) -> None:
    finding = foreign(world, "position_foreign")
    assert decide(api_client(make_user("viewer")), finding.pk, "flatten").status_code == 403
    assert decide(api_client(None), finding.pk, "flatten").status_code == 401
    finding.refresh_from_db()
    assert "wish" not in finding.details


def test_the_same_request_again_is_answered_from_memory(world: ApiWorld) -> None:
    finding, trader = foreign(world, "order_foreign"), api_client(make_user("trader"))
    first = decide(trader, finding.pk, "claim", key="one-click-only")
    again = decide(trader, finding.pk, "claim", key="one-click-only")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert AuditEntry.objects.filter(action="finding.claim").count() == 1
