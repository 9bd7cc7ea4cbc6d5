"""Exchange keys: the trial call, refusals, rotation without a restart, and where decryption may happen."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from accounts.ciphers import Purpose, get_cipher
from accounts.ciphers.base import CipherError, CipherUnavailable
from accounts.core.context import Origin, reset_origin, set_origin
from accounts.models import ApiKey, AuditEntry, TotpDevice, TradingAccount
from accounts.selectors.cipher_state import cipher_state
from accounts.services.api_keys import (
    Credentials,
    CredentialWatch,
    api_key_add,
    api_key_credentials,
    api_key_deactivate,
    api_key_rotate,
)
from accounts.services.trading_accounts import trading_account_create
from avigrid.kernel.errors import Bug, OperatorNeeded, Rejected
from avigrid.kernel.portfolio import KeyInfo
from tests.support.users import api_client, code_for, login, make_user
from tests.support.vault_stub import VaultStub

pytestmark = pytest.mark.django_db
SECRET = "PlantedExchangeSecret0001"
GOOD = KeyInfo(read_only=False, can_trade=True, can_withdraw=False, ip_bound=True, user_id="77", expires="")


class Venue:
    """Answers the trial call, and remembers with which secret it was asked."""

    def __init__(self, info: KeyInfo | Exception = GOOD) -> None:
        self.info = info
        self.asked: list[str] = []

    def __call__(self, account: TradingAccount, credentials: Credentials) -> KeyInfo:
        self.asked.append(credentials.secret)
        if isinstance(self.info, Exception):
            raise self.info
        return self.info


def key_info(**change: Any) -> KeyInfo:
    fields = {name: getattr(GOOD, name) for name in KeyInfo.__slots__}
    return KeyInfo(**{**fields, **change})


@pytest.fixture
def account() -> TradingAccount:
    return trading_account_create(label="main", environment="testnet", actor="test")


def add(account: TradingAccount, venue: Venue, *, secret: str = SECRET, add: Any = api_key_add) -> Any:
    return add(account=account, label="desk", key_id="AbCdEfGh12", secret=secret, trial=venue, actor="test")


def test_a_good_key_is_tried_then_stored_as_ciphertext_only(account: TradingAccount) -> None:
    venue = Venue()
    added = add(account, venue)
    assert venue.asked == [SECRET]
    assert added.warnings == ()
    row = ApiKey.objects.values().get()
    assert SECRET not in str(row)
    assert row["ciphertext"].startswith("local:v1:")
    assert AuditEntry.objects.latest("pk").action == "key.added"


@pytest.mark.parametrize(
    ("info", "code"),
    [(key_info(can_withdraw=True), "key_can_withdraw"), (Rejected("no such key", code="bad_key"), "bad_key")],
)
def test_refused_keys_leave_an_audit_entry_and_nothing_else(account: TradingAccount, info: Any, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        add(account, Venue(info))
    assert caught.value.code == code
    assert ApiKey.objects.count() == 0
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.object_id, entry.after) == ("key.refused", str(account.pk), {"code": code})


@pytest.mark.parametrize(
    ("info", "warnings"),
    [
        (key_info(ip_bound=False), ("key_without_ip",)),
        (key_info(read_only=True), ("key_read_only",)),
        (key_info(can_trade=False), ("key_read_only",)),
        (key_info(ip_bound=False, expires="2027-01-01T00:00:00Z"), ("key_without_ip", "key_expires")),
    ],
)
def test_warnings(account: TradingAccount, info: KeyInfo, warnings: tuple[str, ...]) -> None:
    added = add(account, Venue(info))
    assert added.warnings == warnings
    assert added.key.read_only is ("key_read_only" in warnings)


def test_a_key_of_mainnet_is_not_trusted_to_the_local_cipher() -> None:
    account, venue = trading_account_create(label="real", environment="mainnet", actor="test"), Venue()
    with pytest.raises(Rejected) as caught:
        add(account, venue)
    assert caught.value.code == "local_cipher_mainnet"
    assert venue.asked == []
    assert ApiKey.objects.count() == 0


def test_rotation_switches_a_running_process_without_a_restart(account: TradingAccount) -> None:
    with pytest.raises(OperatorNeeded) as caught:
        CredentialWatch(account).current()
    assert caught.value.code == "no_api_key"
    add(account, Venue())
    watch = CredentialWatch(account)
    assert watch.current().secret == SECRET
    uses = AuditEntry.objects.filter(action="key.used").count()
    assert watch.current().secret == SECRET
    assert AuditEntry.objects.filter(action="key.used").count() == uses == 1  # one load, one entry
    with pytest.raises(Rejected) as refused:
        add(account, Venue(), secret="AnotherPlanted0002")
    assert refused.value.code == "account_has_key"
    add(account, Venue(), secret="AnotherPlanted0002", add=api_key_rotate)
    assert watch.current().secret == "AnotherPlanted0002"
    assert list(ApiKey.objects.order_by("pk").values_list("active", flat=True)) == [False, True]
    assert AuditEntry.objects.filter(action="key.used", actor_name="execution").count() == 2


def test_rotation_to_another_users_key_is_refused(account: TradingAccount) -> None:
    add(account, Venue())
    with pytest.raises(Rejected) as caught:
        add(account, Venue(key_info(user_id="78")), secret="AnotherPlanted0002", add=api_key_rotate)
    assert caught.value.code == "key_of_another_user"
    assert ApiKey.objects.filter(active=True).count() == 1
    assert CredentialWatch(account).current().secret == SECRET


@pytest.mark.parametrize("was_used", [True, False])
def test_taking_the_key_away_first_does_not_open_the_account_to_another_user(
    account: TradingAccount, was_used: bool
) -> None:
    """Plans, fills and equity are those of one user of the exchange. A key nobody ever opened has left nothing."""
    key = add(account, Venue()).key
    if was_used:
        CredentialWatch(account).current()
    api_key_deactivate(key=key, actor="test")
    if not was_used:
        assert add(account, Venue(key_info(user_id="78"))).key.active
        return
    add(account, Venue(key_info(user_id="")))  # a venue that does not say whose it is
    api_key_deactivate(key=ApiKey.objects.latest("pk"), actor="test")
    with pytest.raises(Rejected) as caught:
        add(account, Venue(key_info(user_id="78")))
    assert caught.value.code == "key_of_another_user"
    assert not ApiKey.objects.filter(active=True).exists()
    assert add(account, Venue()).key.active


def test_deactivation_stops_a_running_process(account: TradingAccount) -> None:
    key = add(account, Venue()).key
    watch = CredentialWatch(account)
    watch.current()
    assert api_key_deactivate(key=key, actor="test") is True
    assert api_key_deactivate(key=key, actor="test") is False
    with pytest.raises(OperatorNeeded):
        watch.current()


def test_web_requests_cannot_open_a_key(account: TradingAccount) -> None:
    add(account, Venue())
    token = set_origin(Origin(ip="192.0.2.1"))
    try:
        with pytest.raises(Bug) as caught:
            api_key_credentials(account)
    finally:
        reset_origin(token)
    assert caught.value.code == "decryption_in_web"
    assert not AuditEntry.objects.filter(action="key.used").exists()


KEYS = ("avigrid-exchange", "avigrid-otp", "avigrid-notification")


@pytest.fixture
def vault(settings: Any) -> Iterator[VaultStub]:
    with VaultStub(*KEYS) as stub:
        settings.SECRETS_BACKEND, settings.VAULT_ADDR, settings.VAULT_TOKEN = "vault", stub.url, "root"
        get_cipher.cache_clear()
        yield stub
    get_cipher.cache_clear()


def test_vault_down_running_processes_keep_what_they_hold(account: TradingAccount, vault: VaultStub) -> None:
    add(account, Venue())
    watch = CredentialWatch(account)
    assert watch.current().secret == SECRET
    vault.state.sealed = True
    assert watch.current().secret == SECRET
    with pytest.raises(CipherUnavailable):
        CredentialWatch(account).current()
    state = cipher_state()
    assert (state.ok, state.code) == (False, "vault_sealed")
    vault.state.sealed = False
    assert cipher_state().ok


REFUSALS = {
    "vault_denied": lambda vault: vault.state.policies.clear(),
    "vault_key_missing": lambda vault: vault.state.keys.pop("avigrid-exchange"),
    "vault_sealed": lambda vault: setattr(vault.state, "sealed", True),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_after_a_rotation_a_process_keeps_what_it_holds_until_vault_opens_the_new_key(
    account: TradingAccount, vault: VaultStub, code: str
) -> None:
    """An expired token is refused like a stranger's: no reason to lose a key that works."""
    old = add(account, Venue()).key
    watch = CredentialWatch(account)
    watch.current()
    add(account, Venue(), secret="AnotherPlanted0002", add=api_key_rotate)
    state = copy.deepcopy(vault.state)
    REFUSALS[code](vault)
    assert (watch.current().api_key_row, watch.current().secret) == (old.pk, SECRET)
    assert watch.trouble is not None
    assert watch.trouble.code == code
    with pytest.raises(CipherError) as caught:
        CredentialWatch(account).current()
    assert caught.value.code == code
    vault.state = state
    get_cipher.cache_clear()
    assert watch.current().secret == "AnotherPlanted0002"
    assert watch.trouble is None


def test_vault_down_is_said_on_the_page(account: TradingAccount, vault: VaultStub) -> None:
    client = login(Client(), make_user("trader"))
    assert "Vault is sealed" not in client.get("/system/").content.decode()
    vault.state.sealed = True
    shown = client.get("/system/")
    assert shown.status_code == 200
    assert "Vault is sealed: no secret can be opened; running processes go on." in shown.content.decode()


def test_rewrap_brings_every_secret_under_the_newest_version(
    account: TradingAccount, vault: VaultStub, capsys: Any
) -> None:
    add(account, Venue())
    make_user("trader")
    channels = apps.get_model("trading.NotificationChannel")
    sealed = get_cipher(Purpose.NOTIFICATION).encrypt(b"bot token")
    channels.objects.create(name="night", kind="telegram", ciphertext=sealed)
    for key in KEYS:
        vault.state.rotate(key)
    get_cipher.cache_clear()  # a new process
    call_command("rewrap_secrets")
    assert "3 rewrapped, 0 were current already." in capsys.readouterr().out
    stored = [ApiKey.objects.get().ciphertext, TotpDevice.objects.get().secret_ciphertext]
    stored.append(channels.objects.get().ciphertext)
    assert all(text.startswith("vault:v2:") for text in stored)
    call_command("rewrap_secrets")
    assert "0 rewrapped, 3 were current already." in capsys.readouterr().out
    assert CredentialWatch(account).current().secret == SECRET
    assert AuditEntry.objects.filter(action="secrets.rewrapped").count() == 2


# -- over the API ---------------------------------------------------------------------------------------------------

_venue = Venue()


def trial_for_tests(account: TradingAccount, credentials: Credentials) -> KeyInfo:
    return _venue(account, credentials)


@pytest.fixture
def over_api(settings: Any) -> Venue:
    cache.clear()
    settings.KEY_TRIAL_CALL = f"{__name__}.trial_for_tests"
    import sys

    sys.modules.setdefault(__name__, sys.modules[__name__])
    _venue.__init__()  # type: ignore[misc]
    return _venue


def test_api_adds_lists_and_deactivates(account: TradingAccount, over_api: Venue) -> None:
    admin, other = make_user("admin"), make_user("admin")
    client = api_client(admin)
    body = {"account": account.pk, "label": "desk", "key_id": "AbCdEfGh12", "secret": SECRET}
    answer = client.post("/api/v1/api-keys", body, format="json", HTTP_X_OTP_CODE=code_for(admin))
    assert answer.status_code == 201, answer.content
    assert SECRET not in answer.content.decode()
    assert "ciphertext" not in answer.content.decode()
    assert answer.json()["environment"] == "testnet"
    again = client.post("/api/v1/api-keys", body, format="json", HTTP_X_OTP_CODE=code_for(admin))
    assert (again.status_code, again.json()["code"]) == (409, "account_has_key")
    body["replace"] = True
    assert client.post("/api/v1/api-keys", body, format="json", HTTP_X_OTP_CODE=code_for(admin)).status_code == 201
    listed = client.get("/api/v1/api-keys").json()["results"]
    assert [row["active"] for row in listed] == [True, False]
    assert api_client(other).get("/api/v1/api-keys").json()["results"] == []  # own keys only
    path = f"/api/v1/api-keys/{listed[0]['id']}"
    assert client.delete(path).status_code == 403  # without a fresh code
    stranger = api_client(other).delete(path, HTTP_X_OTP_CODE=code_for(other))
    assert stranger.status_code == 404
    assert client.delete(path, HTTP_X_OTP_CODE=code_for(admin)).status_code == 204
    assert not ApiKey.objects.filter(active=True).exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"account": 999_999}, "account"),
        ({"account": 0}, "account"),
        ({"account": 2**70}, "account"),
        ({"key_id": "has space"}, "key_id"),
        ({"secret": ""}, "secret"),
        ({"label": "x" * 61}, "label"),
    ],
)
def test_api_names_the_bad_field(account: TradingAccount, over_api: Venue, change: dict[str, Any], field: str) -> None:
    admin = make_user("admin")
    body = {"account": account.pk, "label": "desk", "key_id": "AbCdEfGh12", "secret": SECRET, **change}
    answer = api_client(admin).post("/api/v1/api-keys", body, format="json", HTTP_X_OTP_CODE=code_for(admin))
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert over_api.asked == []
