"""How passwords are hashed: Argon2id as RFC 9106 recommends where memory is not to be had for the asking.

64 MiB, three passes, four lanes. A hash is the one thing a stranger can make the web process do that costs real memory,
so that only a few are worked on at once: a flood of logins waits in line and does not push the desk out of its
container's limit.
"""

from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

AT_ONCE = 3


class DeskArgon2Hasher(Argon2PasswordHasher):
    time_cost = 3
    memory_cost = 64 * 1024
    parallelism = 4
    _line = BoundedSemaphore(AT_ONCE)

    def encode(self, password: str, salt: str) -> str:
        with self._line:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with self._line:
            return super().verify(password, encoded)
