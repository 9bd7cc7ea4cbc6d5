"""A reconciliation asked for at a door is done by the execution process."""

from rest_framework.test import APIClient

from tests.support.trading_desk import TradingDesk
from tests.support.users import api_client, make_user
from trading.models import ReconciliationRun


def test_asked_over_the_api(desk: TradingDesk) -> None:
    desk.start()
    client: APIClient = api_client(make_user("trader"))
    answer = client.post(f"/api/v1/reconciliation/run?account={desk.account.pk}")
    assert answer.status_code == 202
    run = desk.until(lambda: ReconciliationRun.objects.filter(scope="manual").first(), what="the run")
    assert run.pk > answer.json()["last_run_id"]
