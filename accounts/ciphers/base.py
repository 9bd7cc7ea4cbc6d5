"""What a cipher must do. Whoever holds one may encrypt; decryption is for the processes that need the secret."""

from typing import Protocol

from avigrid.kernel.errors import OperatorNeeded


class CipherError(OperatorNeeded):
    """No answer from the cipher that could be used: somebody must unseal, renew or configure it, and until then nothing
    new is opened. The message never contains plaintext or key material."""

    code = "cipher_error"


class CipherUnavailable(CipherError):
    """Sealed, unreachable or overloaded: may work later; what a process already holds stays valid."""

    code = "cipher_unavailable"


class CipherDenied(CipherError):
    """The policy or token does not allow it: an operator must act."""

    code = "cipher_denied"


class CipherMisconfigured(CipherError):
    code = "cipher_misconfigured"


class Cipher(Protocol):
    name: str

    def encrypt(self, plaintext: bytes) -> str: ...
    def decrypt(self, ciphertext: str) -> bytes: ...
    def rewrap(self, ciphertext: str) -> str:
        """The same secret under the newest key version; returns the input where it already is."""
        ...

    def is_current(self, ciphertext: str) -> bool:
        """Whether it is under the newest key version."""
        ...
