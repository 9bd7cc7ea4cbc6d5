"""The Vault cipher over real HTTP against a stand-in that follows Vault's Transit API."""

import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest

from accounts.ciphers import Purpose, get_cipher, keep_token
from accounts.ciphers.base import CipherDenied, CipherError, CipherMisconfigured, CipherUnavailable
from accounts.ciphers.vault import VaultTransitCipher
from accounts.ciphers.vault_token import VaultToken, keep_renewed
from tests.support.simulator_server import eventually
from tests.support.vault_stub import VaultStub

KEY = "avigrid-exchange"
SECRET = b"planted-exchange-secret"


@pytest.fixture
def vault() -> Iterator[VaultStub]:
    with VaultStub(KEY) as stub:
        yield stub


class Time:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def cipher_of(vault: VaultStub, *, token: str = "root", time: Time | None = None, **extra: Any) -> VaultTransitCipher:
    client = hvac.Client(url=vault.url, token=token, timeout=5)
    return VaultTransitCipher(client=client, key=KEY, monotonic_s=time or Time(), **extra)


def test_round_trip(vault: VaultStub) -> None:
    cipher = cipher_of(vault)
    sealed = cipher.encrypt(SECRET)
    assert sealed.startswith("vault:v1:")
    assert "planted" not in sealed
    assert cipher.decrypt(sealed) == SECRET
    assert cipher.decrypt(cipher.encrypt(bytes(range(256)))) == bytes(range(256))


def test_rotation_and_rewrap_without_plaintext(vault: VaultStub) -> None:
    time = Time()
    cipher = cipher_of(vault, time=time)
    old = cipher.encrypt(SECRET)
    assert cipher.is_current(old)
    vault.state.rotate(KEY)
    time.now_s += 61
    assert not cipher.is_current(old)
    assert cipher.decrypt(old) == SECRET
    vault.state.calls.clear()
    new = cipher.rewrap(old)
    assert new.startswith("vault:v2:")
    assert vault.state.count("decrypt") == 0
    assert cipher.rewrap(new) == new
    assert vault.state.count("rewrap") == 1
    vault.state.min_decryption_version = 2
    assert cipher.decrypt(new) == SECRET
    with pytest.raises(CipherError) as caught:
        cipher.decrypt(old)
    assert caught.value.code == "vault_refused"


def test_the_web_may_encrypt_and_not_decrypt(vault: VaultStub) -> None:
    vault.state.policies["web"] = {f"encrypt/{KEY}"}
    cipher = cipher_of(vault, token="web")
    sealed = cipher.encrypt(SECRET)
    with pytest.raises(CipherDenied) as caught:
        cipher.decrypt(sealed)
    assert caught.value.code == "vault_denied"


@pytest.mark.parametrize(
    ("break_it", "error", "code"),
    [
        (lambda v: setattr(v.state, "sealed", True), CipherUnavailable, "vault_sealed"),
        (lambda v: setattr(v.state, "broken", True), CipherUnavailable, "vault_unreachable"),
        (lambda v: v.state.policies.clear(), CipherDenied, "vault_denied"),
        (lambda v: v.state.keys.clear(), CipherMisconfigured, "vault_key_missing"),
        (lambda v: v.stop(), CipherUnavailable, "vault_unreachable"),
    ],
)
def test_each_failure_has_its_own_name(break_it: Any, error: type[CipherError], code: str) -> None:
    vault = VaultStub(KEY)
    vault.__enter__()
    cipher = cipher_of(vault)
    sealed = cipher.encrypt(SECRET)
    break_it(vault)
    with pytest.raises(error) as caught:
        cipher.decrypt(sealed)
    assert caught.value.code == code
    with pytest.raises(error) as caught:
        cipher.encrypt(SECRET)
    shown = "".join(traceback.format_exception(caught.value))
    assert "planted" not in shown
    assert "root" not in str(caught.value)
    if code != "vault_unreachable" or vault.state.broken:
        vault.stop()


def test_sealed_and_open_again(vault: VaultStub) -> None:
    cipher = cipher_of(vault)
    sealed = cipher.encrypt(SECRET)
    vault.state.sealed = True
    with pytest.raises(CipherUnavailable):
        cipher.decrypt(sealed)
    vault.state.sealed = False
    assert cipher.decrypt(sealed) == SECRET


def test_token_is_renewed_at_half_its_life(vault: VaultStub) -> None:
    time = Time()
    cipher = cipher_of(vault, time=time)
    cipher.encrypt(SECRET)
    assert (vault.state.count("lookup"), vault.state.count("renew")) == (1, 0)
    time.now_s += 1799
    cipher.encrypt(SECRET)
    assert vault.state.count("renew") == 0
    time.now_s += 2
    cipher.encrypt(SECRET)
    assert vault.state.count("renew") == 1
    time.now_s += 1799
    cipher.encrypt(SECRET)
    assert vault.state.count("renew") == 1


def test_a_token_that_cannot_be_renewed_is_not_asked(vault: VaultStub) -> None:
    vault.state.renewable = False
    time = Time()
    cipher = cipher_of(vault, time=time)
    cipher.encrypt(SECRET)
    time.now_s += 10_000
    cipher.encrypt(SECRET)
    assert (vault.state.count("lookup"), vault.state.count("renew")) == (1, 0)


class Days:
    """Stands for the wait between two looks: time passes at once, and the vault forgets a token whose life is over."""

    def __init__(self, time: Time, vault: VaultStub, until_s: float) -> None:
        self.time, self.vault, self.until_s = time, vault, time.now_s + until_s
        self.renewed_s = time.now_s
        self._renewals = 0

    def __call__(self, wait_s: float) -> bool:
        if self.vault.state.count("renew") > self._renewals:
            self._renewals, self.renewed_s = self.vault.state.count("renew"), self.time.now_s
        self.time.now_s += wait_s
        if self.time.now_s - self.renewed_s >= self.vault.state.ttl_s:
            self.vault.state.policies.clear()
        return self.time.now_s >= self.until_s


def token_of(vault: VaultStub, time: Time, token: str = "root", **extra: Any) -> VaultToken:
    return VaultToken(hvac.Client(url=vault.url, token=token, timeout=5), monotonic_s=time, **extra)


def test_a_token_nobody_shows_is_kept_alive(vault: VaultStub) -> None:
    """Execution opens its key once when it starts; a week later a rotated one must still be opened."""
    time = Time()
    cipher = cipher_of(vault, time=time)
    sealed = cipher.encrypt(SECRET)
    days = Days(time, vault, until_s=4 * 3600)
    keep_renewed(token_of(vault, time), days)
    assert vault.state.count("renew") == 7  # every half hour of its hour of life, but for the last
    assert cipher.decrypt(sealed) == SECRET


def test_a_vault_that_was_away_is_asked_again_soon(vault: VaultStub) -> None:
    time = Time()
    token = token_of(vault, time)
    assert token.renew_if_due()
    time.now_s += 1801
    vault.state.sealed = True
    assert not token.renew_if_due()
    assert token.next_look_s() == 15.0
    vault.state.sealed = False
    assert token.renew_if_due()
    assert (vault.state.count("renew"), token.next_look_s()) == (1, 60.0)


def test_keeping_takes_the_token_the_agent_has_written(vault: VaultStub, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("next\n")
    token = token_of(vault, Time(), file=str(file))
    vault.state.policies = {"next": {"*"}}
    assert token.renew_if_due()
    assert vault.state.count("lookup") == 1


def test_the_process_keeps_its_token_in_a_thread(vault: VaultStub, settings: Any) -> None:
    settings.SECRETS_BACKEND = "local"
    assert keep_token() is None
    settings.SECRETS_BACKEND, settings.VAULT_ADDR, settings.VAULT_TOKEN = "vault", vault.url, ""
    assert keep_token() is None
    settings.VAULT_TOKEN = "root"
    over = keep_token()
    assert over is not None
    assert eventually(lambda: vault.state.count("lookup") == 1)
    over.set()
    assert eventually(lambda: all(thread.name != "vault-token" for thread in threading.enumerate()))


def test_a_replaced_token_file_is_read_again(vault: VaultStub, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("root\n")
    cipher = cipher_of(vault, token="root", token_file=str(file))
    sealed = cipher.encrypt(SECRET)
    vault.state.policies = {"next": {"*"}}
    with pytest.raises(CipherDenied):
        cipher.decrypt(sealed)
    file.write_text("next\n")
    assert cipher.decrypt(sealed) == SECRET


@pytest.mark.parametrize("text", ["", "local:v1:abc", "vault:v1:", "vault:x:abc", "vault"])
def test_foreign_ciphertext_never_reaches_vault(vault: VaultStub, text: str) -> None:
    cipher = cipher_of(vault)
    with pytest.raises(CipherError) as caught:
        cipher.decrypt(text)
    assert caught.value.code == "cipher_bad_format"
    assert vault.state.calls == []


def test_from_settings(vault: VaultStub, settings: Any) -> None:
    settings.SECRETS_BACKEND = "vault"
    settings.VAULT_ADDR, settings.VAULT_TOKEN = vault.url, "root"
    get_cipher.cache_clear()
    try:
        cipher = get_cipher(Purpose.EXCHANGE)
        assert cipher.decrypt(cipher.encrypt(SECRET)) == SECRET
        assert repr(cipher) == "VaultTransitCipher(key='avigrid-exchange')"
        settings.VAULT_TOKEN = ""
        get_cipher.cache_clear()
        with pytest.raises(CipherMisconfigured) as caught:
            get_cipher(Purpose.EXCHANGE)
        assert caught.value.code == "vault_not_configured"
        settings.SECRETS_BACKEND, settings.LOCAL_CIPHER_ALLOWED = "local", False
        with pytest.raises(CipherMisconfigured) as caught:
            get_cipher(Purpose.EXCHANGE)
        assert caught.value.code == "local_cipher_refused"
    finally:
        get_cipher.cache_clear()
