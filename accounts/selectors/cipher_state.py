"""Whether secrets can be opened now, in one sentence for the health page and the doctor."""

from dataclasses import dataclass

from accounts.ciphers import Purpose, get_cipher
from accounts.ciphers.base import CipherError

_PROBE = b"avigrid probe"


@dataclass(frozen=True, slots=True)
class CipherState:
    ok: bool
    code: str
    sentence: str


def cipher_state(purpose: Purpose = Purpose.OTP) -> CipherState:
    """A round trip through the cipher with a text that is no secret."""
    try:
        cipher = get_cipher(purpose)
        works = cipher.decrypt(cipher.encrypt(_PROBE)) == _PROBE
    except CipherError as error:
        return CipherState(False, error.code, f"{error.message}: no secret can be opened; running processes go on.")
    if not works:
        return CipherState(False, "cipher_broken", "The cipher does not return what it was given.")
    return CipherState(True, "ok", f"The {cipher.name} cipher works.")
