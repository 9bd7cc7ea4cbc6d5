"""Strategy versions in the admin: adding makes a new one through the service; nothing is ever edited."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from tests.support.users import login, make_user
from trading.avi5.config import StrategyConfig
from trading.forms.strategy import FIELDS
from trading.models import StrategyVersion
from trading.selectors.strategy import active_version, config_of

pytestmark = pytest.mark.django_db
ADD = reverse("admin:trading_strategyversion_add")


def filled(**changes: object) -> dict[str, object]:
    import json

    values = {**StrategyConfig().to_mapping(), **changes}
    data = {name: json.dumps(v) if isinstance(v, list | dict) else v for name, v in values.items() if v is not False}
    return {**data, "stage": "paper", "note": "tighter", "activate": "on"}


@pytest.fixture
def admin_client(client: Client) -> Client:
    login(client, make_user("admin"), fresh_code=True)
    return client


def test_a_new_version_is_stored_activated_and_audited(admin_client: Client) -> None:
    answer = admin_client.post(ADD, filled(theta=0.4, dead_hours=[3, 4]))
    assert answer.status_code == 302, answer.context_data["errors"]
    version = active_version()
    assert version is not None
    assert (version.version, version.stage, version.note) == (1, "paper", "tighter")
    assert config_of(version) == StrategyConfig(theta=0.4, dead_hours=(3, 4))
    assert AuditEntry.objects.filter(action="strategy.version_created").count() == 1

    admin_client.post(ADD, filled(theta=0.45))
    assert StrategyVersion.objects.count() == 2
    assert StrategyVersion.objects.filter(is_active=True).get().version == 2


def test_a_number_outside_its_limits_is_refused_at_its_field_and_nothing_is_stored(admin_client: Client) -> None:
    answer = admin_client.post(ADD, filled(theta=7))
    assert answer.status_code == 200
    assert "theta must be" in answer.content.decode()
    assert StrategyVersion.objects.count() == 0


def test_every_number_of_the_strategy_has_a_field(admin_client: Client) -> None:
    page = admin_client.get(ADD).content.decode()
    for name in FIELDS:
        assert f'name="{name}"' in page, name


def test_what_is_fixed_is_shown_and_cannot_be_filled_in(admin_client: Client) -> None:
    page = admin_client.get(ADD).content.decode()
    field = re.search(r'<input[^>]*name="book_levels"[^>]*>', page)
    assert field is not None
    assert 'value="10"' in field.group()
    assert " disabled" in field.group()


def test_live_is_not_a_choice_of_the_form(admin_client: Client) -> None:
    answer = admin_client.post(ADD, {**filled(), "stage": "live"})
    assert answer.status_code == 200
    assert StrategyVersion.objects.count() == 0


def test_a_form_that_was_overtaken_loses_nobodys_change(admin_client: Client) -> None:
    page = admin_client.get(ADD).content.decode()
    seen = re.search(r'name="expected_version" value="(\d+)"', page)
    assert seen is not None
    first = {**filled(theta=0.4), "expected_version": seen[1]}
    assert admin_client.post(ADD, first).status_code == 302
    late = admin_client.post(ADD, {**filled(theta=0.45), "expected_version": seen[1]}, follow=True)
    assert f"Version {int(seen[1]) + 1} decides by now, not {seen[1]}." in late.content.decode()
    assert StrategyVersion.objects.get(is_active=True).config["theta"] == 0.4
