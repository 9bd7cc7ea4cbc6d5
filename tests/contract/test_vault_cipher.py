"""The Vault cipher over real HTTP against a stand-in that follows Vault's Transit API."""

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest

from accounts.ciphers import Purpose, get_cipher
from accounts.ciphers.base import CipherDenied, CipherError, CipherMisconfigured, CipherUnavailable
from accounts.ciphers.vault import VaultTransitCipher
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
