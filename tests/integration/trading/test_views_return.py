"""HALT and the language switch stand on every page, and lead back to the page they were pressed on."""

import re

import pytest
from django.core.cache import cache
from django.test import Client

from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def trader() -> Client:
    cache.clear()
    ApiWorld()
    return login(Client(), make_user("trader"))


def targets(page: str) -> list[str]:
    return re.findall(r'<input type="hidden" name="next" value="([^"]*)"', page)


def test_filters_survive(trader: Client) -> None:
    page = trader.get("/plans/?which=closed&symbol=AAAUSDT").content.decode()
    assert targets(page) == ["/plans/?which=closed&amp;symbol=AAAUSDT"] * 2
    answer = trader.post("/halt", {"next": "/plans/?which=closed"})
    assert (answer.status_code, answer["Location"]) == (302, "/plans/?which=closed")


def test_an_address_that_only_takes_forms_is_no_way_back(trader: Client) -> None:
    """A refused form is shown again at the address it was sent to."""
    answer = trader.post("/research/start", {})
    assert answer.status_code == 400
    [halt, language] = targets(answer.content.decode())
    assert halt == language == "/research/"
    assert trader.get(halt).status_code == 200


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:1", ""])
def test_nobody_is_sent_elsewhere(trader: Client, wanted: str) -> None:
    answer = trader.post("/halt", {"next": wanted})
    assert (answer.status_code, answer["Location"]) == (302, "/")
