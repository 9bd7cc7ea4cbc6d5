"""One-time passwords against the vectors of RFC 6238, appendix B (SHA-1, last six of eight digits)."""

import pytest

from accounts.core import totp

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_rfc_vectors(at_s: int, code: str) -> None:
    assert totp.current_code(secret=SECRET, now_s=at_s) == code
    assert totp.matching_step(secret=SECRET, code=code, now_s=at_s) == at_s // 30


def test_one_step_either_way_is_tolerated_and_no_more() -> None:
    code = "287082"  # step 1: 30 s .. 59 s
    assert totp.matching_step(secret=SECRET, code=code, now_s=0) == 1
    assert totp.matching_step(secret=SECRET, code=code, now_s=89) == 1
    assert totp.matching_step(secret=SECRET, code=code, now_s=90) is None


@pytest.mark.parametrize("code", ["", "28708", "2870822", "abcdef", "２８７０８２", "-87082"])
def test_what_is_no_code_never_matches(code: str) -> None:
    assert totp.matching_step(secret=SECRET, code=code, now_s=59) is None


def test_spaces_are_what_people_type() -> None:
    assert totp.matching_step(secret=SECRET, code="287 082", now_s=59) == 1


def test_address_for_the_authenticator_app() -> None:
    uri = totp.provisioning_uri(secret=b"Hello!\xde\xad\xbe\xef", account="ann@desk.example", issuer="AviGrid")
    assert uri == (
        "otpauth://totp/AviGrid%3Aann%40desk.example?secret=JBSWY3DPEHPK3PXP&issuer=AviGrid&digits=6&period=30"
    )
