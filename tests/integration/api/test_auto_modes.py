"""Auto mode over the API: read by everybody, given by a trader with a fresh code, taken back by any trader."""

from typing import Any

import pytest

from tests.support.api_world import ApiWorld
from tests.support.users import api_client, code_for, make_user
from trading.models import AutoMode

pytestmark = pytest.mark.django_db
PATH = "/api/v1/auto-modes"
WISH = {"symbol": "AAAUSDT", "minutes": 30, "reason": "meeting"}


def _post(role: str, path: str, body: dict[str, Any], *, coded: bool = True) -> Any:
    user = make_user(role)
    headers = {"X-OTP-Code": code_for(user)} if coded else {}
    return api_client(user).post(path, body, format="json", headers=headers)


def test_given_shown_and_taken_back(world: ApiWorld) -> None:
    viewer = api_client(make_user("viewer"))
    assert viewer.get(PATH).json() == {"standing": []}
    given = _post("trader", PATH, WISH)
    assert given.status_code == 201
    assert [row["symbol"] for row in viewer.get(PATH).json()["standing"]] == ["AAAUSDT"]
    assert _post("trader", f"{PATH}/revoke", {"symbol": "AAAUSDT"}, coded=False).json() == {"revoked": True}
    assert viewer.get(PATH).json() == {"standing": []}
    assert _post("trader", f"{PATH}/revoke", {"symbol": "AAAUSDT"}, coded=False).json() == {"revoked": False}


@pytest.mark.parametrize(
    ("role", "coded", "code"), [("viewer", True, "permission_denied"), ("trader", False, "fresh_code_required")]
)
def test_who_may_not(world: ApiWorld, role: str, coded: bool, code: str) -> None:
    refused = _post(role, PATH, WISH, coded=coded)
    assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert not AutoMode.objects.exists()


def test_bad_input_names_the_field(world: ApiWorld) -> None:
    refused = _post("trader", PATH, {**WISH, "minutes": 4})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["minutes"])
    unknown = _post("trader", PATH, {**WISH, "symbol": "NOPEUSDT"})
    assert (unknown.status_code, unknown.json()["code"]) == (409, "unknown_symbol")
