"""Secrets planted everywhere they may enter, then looked for everywhere they must not appear."""

import io
import logging
import traceback
from typing import Any

import pytest
import structlog
from django.core.cache import cache
from django.test import Client
from django.views.debug import ExceptionReporter

from accounts.ciphers import Purpose, get_cipher
from accounts.models import ApiKey, TotpDevice, TradingAccount
from accounts.services.api_keys import Credentials, CredentialWatch, api_key_add, api_key_credentials
from accounts.services.second_factor import device_begin, device_confirm
from accounts.services.trading_accounts import trading_account_create
from avigrid.kernel.errors import Rejected
from avigrid.kernel.portfolio import KeyInfo
from tests.support.planted import database_holds
from tests.support.users import PASSWORD, api_client, code_for, login, make_user

pytestmark = pytest.mark.django_db
SECRET = "PLANTEDneverRealSECRET4711"
GOOD = KeyInfo(read_only=False, can_trade=True, can_withdraw=False, ip_bound=False, user_id="1", expires="")


def trial(account: TradingAccount, credentials: Credentials) -> KeyInfo:
    return GOOD


def failing_trial(account: TradingAccount, credentials: Credentials) -> KeyInfo:
    raise RuntimeError("the venue is away")


@pytest.fixture
def account() -> TradingAccount:
    cache.clear()
    return trading_account_create(label="main", environment="demo", actor="test")


def add(account: TradingAccount, secret: str = SECRET, call: Any = trial) -> ApiKey:
    return api_key_add(account=account, label="desk", key_id="AbCdEfGh12", secret=secret, trial=call, actor="test").key


def test_the_search_itself_finds_what_is_there(account: TradingAccount) -> None:
    assert database_holds("main") == ["accounts_tradingaccount"]


def test_nothing_in_any_table(account: TradingAccount) -> None:
    add(account)
    api_key_credentials(account)
    user = make_user("viewer", password=PASSWORD)
    set_up = device_begin(user=user)
    assert database_holds(SECRET) == []
    assert database_holds(set_up.secret) == []
    assert database_holds(PASSWORD) == []


def test_recovery_codes_are_not_stored(account: TradingAccount) -> None:
    import base64

    from django.utils import timezone

    from accounts.core import totp

    user = make_user("trader", with_device=False)
    secret = device_begin(user=user).secret
    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    _, codes = device_confirm(user=user, code=totp.current_code(secret=raw, now_s=int(timezone.now().timestamp())))
    assert [code for code in codes if database_holds(code)] == []


def test_repr_and_str(account: TradingAccount) -> None:
    key = add(account)
    credentials = CredentialWatch(account).current()
    for thing in (key, credentials, [credentials], {"k": credentials}, get_cipher(Purpose.EXCHANGE)):
        assert SECRET not in f"{thing!r} {thing}"
    assert "AbCdEfGh12" not in str(key)


def test_logs(account: TradingAccount) -> None:
    ours = [h for h in logging.getLogger().handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter)]
    assert len(ours) == 1
    written = io.StringIO()
    before = ours[0].setStream(written)  # type: ignore[attr-defined]
    try:
        add(account)
        credentials = api_key_credentials(account)
        log = structlog.get_logger("test")
        log.error("careless", note=f"the key is {credentials.secret}", api_secret=SECRET, credentials=credentials)
        logging.getLogger("test").error("careless %s", credentials.secret)
        try:
            raise RuntimeError(f"failed with {credentials.secret}")
        except RuntimeError:
            logging.getLogger("test").exception("careless")
    finally:
        ours[0].setStream(before)  # type: ignore[attr-defined]
    assert written.getvalue().count("careless") >= 3
    assert "failed with" in written.getvalue()
    assert SECRET not in written.getvalue()


def test_error_report_of_a_failed_trial(account: TradingAccount, rf: Any) -> None:
    """Django's own report shows local variables of every frame."""
    with pytest.raises(RuntimeError) as caught:
        add(account, call=failing_trial)
    error = caught.value
    report = ExceptionReporter(rf.post("/x"), type(error), error, error.__traceback__)
    frames = [frame for frame in report.get_traceback_frames() if "/accounts/" in frame["filename"]]
    ours = [frame for frame in frames if "/tests/" not in frame["filename"]]
    assert ours
    assert SECRET not in str([frame["vars"] for frame in ours])
    assert SECRET not in "".join(traceback.format_exception(error))
    assert ApiKey.objects.count() == 0


def test_a_refusal_does_not_repeat_it(account: TradingAccount) -> None:
    add(account)
    with pytest.raises(Rejected) as caught:
        add(account)
    assert SECRET not in f"{caught.value!r} {caught.value.details}"


def test_admin_pages_and_api(account: TradingAccount, settings: Any) -> None:
    key = add(account)
    ciphertext = ApiKey.objects.get().ciphertext
    admin = make_user("admin")
    device_text = TotpDevice.objects.get(user=admin).secret_ciphertext
    browser = login(Client(), admin, fresh_code=True)
    api = api_client(admin)
    pages = [
        browser.get("/admin/accounts/apikey/"),
        browser.get(f"/admin/accounts/apikey/{key.pk}/change/"),
        browser.get("/admin/accounts/apikey/add/"),
        browser.get(f"/admin/accounts/user/{admin.pk}/change/"),
        browser.get("/admin/accounts/auditentry/"),
        browser.get("/accounts/sessions/"),
        api.get("/api/v1/api-keys"),
        api.get("/api/v1/users"),
        api.get("/api/v1/audit"),
    ]
    for page in pages:
        assert page.status_code == 200, page.request["PATH_INFO"]
        text = page.content.decode()
        for secret in (SECRET, ciphertext, device_text):
            assert secret not in text, page.request["PATH_INFO"]


def test_a_mistyped_form_does_not_give_the_secret_back(account: TradingAccount) -> None:
    admin = make_user("admin")
    browser = login(Client(), admin, fresh_code=True)
    answer = browser.post("/admin/accounts/apikey/add/", {"account": "", "label": "x", "key_id": "k", "secret": SECRET})
    assert answer.status_code == 200
    assert SECRET not in answer.content.decode()
    body = {"account": account.pk, "label": "x", "key_id": "bad id", "secret": SECRET + "!"}
    refused = api_client(admin).post("/api/v1/api-keys", body, format="json", HTTP_X_OTP_CODE=code_for(admin))
    assert refused.status_code == 400
    assert SECRET not in refused.content.decode()
