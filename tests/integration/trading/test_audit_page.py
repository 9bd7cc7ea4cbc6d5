"""The audit page: what its search shows is what its export holds."""

import csv
import html
import re
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.test import Client
from django.utils import timezone

from accounts.services.audit import audit
from tests.support.users import login, make_user

pytestmark = pytest.mark.django_db
EXPORT = re.compile(r'href="(/api/v1/audit/export[^"]*)"')
DAY = datetime(2026, 3, 14, tzinfo=UTC)


@pytest.fixture
def admin() -> Client:
    client: Client = login(Client(), make_user("admin"))
    moments = (
        DAY - timedelta(milliseconds=1),
        DAY,
        DAY + timedelta(hours=23, minutes=59, seconds=59),
        DAY + timedelta(days=1),
        datetime(9999, 12, 31, 23, tzinfo=UTC),
    )
    for number, at in enumerate(moments):
        with patch.object(timezone, "now", return_value=at):
            audit(actor="importer", action="thing.done", obj=f"thing:{number}", reason=f"Because of {number % 2}")
    return client


@pytest.mark.parametrize(
    ("query", "objects"),
    [
        ("since=2026-03-14&until=2026-03-14", "12"),
        ("until=2026-03-13", "0"),
        ("since=2026-03-15", "34"),
        ("until=9999-12-31&action=thing.", "01234"),
        ("text=because+OF+1", "13"),
        ("text=because&until=2026-03-14&actor=importer", "012"),
        ("since=yesterday&action=thing.", "01234"),
        ("object_type=thing&object_id=3", "3"),
        ("text=of+nobody", ""),
        ("action=" + "x" * 200, ""),
    ],
)
def test_the_export_holds_what_the_page_shows(query: str, objects: str, admin: Client) -> None:
    page = admin.get(f"/audit/?actor=importer&{query}")
    assert page.status_code == 200
    shown = [row.pk for row in page.context["rows"]]
    assert [row.object_id for row in page.context["rows"]] == list(reversed(objects))
    link = EXPORT.search(page.content.decode())
    assert link is not None
    export = admin.get(html.unescape(link[1]))
    assert export.status_code == 200
    rows = csv.DictReader(export.getvalue().decode().splitlines())
    assert [int(row["id"]) for row in rows] == list(reversed(shown))


def test_a_long_address_is_searched_whole(admin: Client) -> None:
    address = f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example"
    assert address in admin.get("/audit/", {"actor": address}).content.decode()
