"""What people decide about findings, from the page: offered where it can be done, refused with a sentence, audited
once."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import AuditEntry
from avigrid.common import heartbeats, push
from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user
from trading.engine.wishes import Wish
from trading.models import ReconciliationFinding, ReconciliationRun
from trading.runtime import fragments as _registered  # noqa: F401
from trading.runtime.screen import Reader, render
from trading.services.foreign import finding_decide
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db


@pytest.fixture
def trader() -> Client:
    return login(Client(), make_user("trader"))


def finding(world: ApiWorld, kind: str = "position_foreign", **changes: Any) -> ReconciliationFinding:
    at = from_ms(world.now_ms)
    run = ReconciliationRun.objects.create(
        account=world.account, scope="sweep", status="findings", started_at=at - timedelta(milliseconds=400)
    )
    return ReconciliationFinding.objects.create(
        account=world.account, run=run, kind=kind, severity="critical", symbol="AAAUSDT",
        sentence="The venue holds 2 AAAUSDT that nobody here bought.", detected_at=at,
        **{"subject": "AAAUSDT/1", "is_open": True, **changes},
    )  # fmt: skip


def told(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


HX = {"HX-Request": "true"}


def test_only_what_can_be_decided_is_offered(world: ApiWorld) -> None:
    position, order = finding(world), finding(world, kind="order_foreign", subject="x-1")
    lost = finding(world, kind="order_lost", subject="o-1")
    html = render("reconciliation", Reader("trader", "en"), out_of_band=True)
    offered = {row.pk: [w for w in ("adopt", "flatten", "cancel", "ignore") if f"findings/{row.pk}/{w}" in html]
               for row in (position, order, lost)}  # fmt: skip
    assert offered == {position.pk: ["adopt", "flatten", "ignore"], order.pk: ["cancel", "ignore"], lost.pk: []}
    assert "findings/" not in render("reconciliation", Reader("viewer", "en"), out_of_band=True)
    assert f"run {position.run_id}, after 400 ms" in html


@pytest.mark.parametrize(("wish", "says"), [("adopt", "becomes a plan"), ("flatten", "Closing AAAUSDT/1"),
                                            ("ignore", "left alone")])  # fmt: skip
def test_a_decision_is_kept_for_the_execution_process(wish: str, says: str, world: ApiWorld, trader: Client) -> None:
    row = finding(world)
    path = f"/reconciliation/findings/{row.pk}/{wish}"
    assert says in told(trader.post(path, headers=HX))
    assert told(trader.post(path, headers=HX))  # a double click
    row.refresh_from_db()
    assert (row.is_open, row.details["wish"]) == (True, wish)
    assert AuditEntry.objects.filter(action=f"finding.{wish}").count() == 1
    html = render("reconciliation", Reader("trader", "en"), out_of_band=True)
    assert f"findings/{row.pk}/{wish}" not in html


def test_every_open_page_hears_of_a_decision(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    row = finding(world)
    told: list[tuple[str, object]] = []
    monkeypatch.setattr(push, "send_now", lambda kind, payload: told.append((kind, payload)))
    with django_capture_on_commit_callbacks(execute=True):
        finding_decide(finding_id=row.pk, wish=Wish.FLATTEN, user="test")
    assert ("finding", {"finding_id": row.pk, "severity": "critical", "kind": "position_foreign"}) in told
    assert "flatten asked" in render("reconciliation", Reader("viewer", "en"), out_of_band=True)


def test_what_cannot_be_decided_changes_nothing(world: ApiWorld, trader: Client) -> None:
    row, settled = finding(world, kind="order_foreign", subject="x-1"), finding(world, is_open=False)
    assert "refused" in told(trader.post(f"/reconciliation/findings/{row.pk}/adopt", headers=HX))
    assert "This is settled already." in told(trader.post(f"/reconciliation/findings/{settled.pk}/adopt", headers=HX))
    assert trader.post(f"/reconciliation/findings/{row.pk}/eat").status_code == 404
    assert trader.post("/reconciliation/findings/999999/adopt").status_code == 404
    viewer = login(Client(), make_user("viewer"))
    assert viewer.post(f"/reconciliation/findings/{row.pk}/cancel").status_code == 403
    row.refresh_from_db()
    assert "wish" not in row.details
    assert not AuditEntry.objects.filter(action__startswith="finding.").exists()


def test_comparing_now_is_asked_of_the_execution_process(world: ApiWorld, trader: Client) -> None:
    page = trader.get("/reconciliation/").content.decode()
    assert 'action="/reconciliation/run"' in page
    answer = trader.post("/reconciliation/run")  # without JavaScript
    assert (answer.status_code, answer["Location"]) == (302, "/reconciliation/")
    assert AuditEntry.objects.filter(action="reconciliation.asked").count() == 1
    assert login(Client(), make_user("viewer")).post("/reconciliation/run").status_code == 403


def test_repair_and_proof_stand_beside_each_other_with_seconds(world: ApiWorld) -> None:
    at = from_ms(world.now_ms)
    finding(
        world, kind="stop_missing", is_open=False, repaired_at=at + timedelta(milliseconds=1400),
        action="stop set again", resolution="repaired", proof="the venue shows a stop at 99.5",
    )  # fmt: skip
    html = render("reconciliation", Reader("viewer", "en"), out_of_band=True)
    assert 'stop set again <span class="badge">+1.4 s</span>' in html
    assert "the venue shows a stop at 99.5" in html


def test_the_doctor_is_a_page_too(world: ApiWorld) -> None:
    viewer = login(Client(), make_user("viewer"))
    assert 'hx-get="/system/doctor" hx-trigger="load"' in viewer.get("/system/").content.decode()
    piece = told(viewer.get("/system/doctor", headers=HX))
    assert piece.startswith("<section")
    rows = [row for row in piece.split("<tr>") if "<td>" in row]
    database = next(row for row in rows if "PostgreSQL" in row)
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        version = cursor.fetchone()[0].split(".")[0]
    assert version in database
    levels = [("broken" in row, "warning" in row, "good" in row) for row in rows]
    assert levels[0][0]  # no process of this desk runs: what is broken comes first
    whole = told(viewer.get("/system/doctor"))
    assert "<h1>Health</h1>" in whole
    assert "PostgreSQL" in whole


def test_streams_of_the_execution_process(world: ApiWorld) -> None:
    heartbeats.beat(
        f"execution:{world.account.pk}",
        {"stream": "down", "is_ready": False, "reconciliation": "start good", "queue": 3,
         "unprotected_qty": "0.5", "problems": {"clock": "The clock is 900 ms off."}},
        started=True,
    )  # fmt: skip
    html = render("health", Reader("viewer", "en"), out_of_band=True)
    panel = html[html.index("streams-title") : html.index("feeds-title")]
    assert '<span class="badge alarm">down</span>' in panel
    assert '<span class="badge alarm">0.5</span>' in panel
    assert "clock: The clock is 900 ms off." in panel
