"""The cipher of development and the demo."""

import runpy

import pytest

from accounts.ciphers.base import CipherError, CipherMisconfigured
from accounts.ciphers.local import LocalCipher
from avigrid.settings import base, dev

OLD = "old-key-0123456789-0123456789-0123456789"
NEW = "new-key-0123456789-0123456789-0123456789"


def test_round_trip_never_the_same_twice() -> None:
    cipher = LocalCipher(OLD, purpose="exchange")
    one, two = cipher.encrypt(b"a secret"), cipher.encrypt(b"a secret")
    assert one != two
    assert one.startswith("local:v1:")
    assert cipher.decrypt(one) == cipher.decrypt(two) == b"a secret"


def test_rotation_keeps_old_secrets_readable_and_rewraps_them() -> None:
    old = LocalCipher(OLD, purpose="exchange").encrypt(b"a secret")
    cipher = LocalCipher(f"{NEW},{OLD}", purpose="exchange")
    assert cipher.decrypt(old) == b"a secret"
    assert not cipher.is_current(old)
    new = cipher.rewrap(old)
    assert new.startswith("local:v2:")
    assert cipher.rewrap(new) == new
    assert cipher.decrypt(new) == b"a secret"


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (lambda text: text[:-6] + ("AAAAA=" if text[-6:] != "AAAAA=" else "BBBBB="), None),
        (lambda text: text.replace("local:v1", "local:v9"), "cipher_key_missing"),
        (lambda text: text.replace("local:", "vault:"), "cipher_bad_format"),
        (lambda text: "no ciphertext", "cipher_bad_format"),
        (lambda text: "local:v1:", "cipher_wrong_key"),
    ],
)
def test_what_was_tampered_with_is_refused(tamper: object, code: str | None) -> None:
    cipher = LocalCipher(OLD, purpose="exchange")
    with pytest.raises(CipherError) as caught:
        cipher.decrypt(tamper(cipher.encrypt(b"a secret")))  # type: ignore[operator]
    assert code is None or caught.value.code == code
    assert "a secret" not in str(caught.value)


def test_each_purpose_has_its_own_key() -> None:
    sealed = LocalCipher(OLD, purpose="exchange").encrypt(b"a secret")
    with pytest.raises(CipherError) as caught:
        LocalCipher(OLD, purpose="otp").decrypt(sealed)
    assert caught.value.code == "cipher_wrong_key"


@pytest.mark.parametrize("keys", ["", "short", f"{OLD},short"])
def test_weak_keys_are_refused(keys: str) -> None:
    with pytest.raises(CipherMisconfigured):
        LocalCipher(keys, purpose="exchange")


def test_repr_shows_no_key() -> None:
    assert repr(LocalCipher(OLD, purpose="exchange")) == "LocalCipher(version=1)"


@pytest.mark.parametrize(
    ("demo", "debug", "allowed"), [(False, "false", False), (True, "false", True), (False, "true", True)]
)
def test_development_settings_alone_do_not_allow_it(
    demo: bool, debug: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are what `asgi.py` falls back to; somebody may trade under them without having chosen them."""
    monkeypatch.setitem(base.AVIGRID, "DEMO", demo)
    monkeypatch.setenv("AVIGRID_DEBUG", debug)
    assert runpy.run_path(dev.__file__)["LOCAL_CIPHER_ALLOWED"] is allowed
