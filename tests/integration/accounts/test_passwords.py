"""Password hashes: as strong as the RFC says, renewed where they are weaker, and never many at once."""

import threading
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password

from avigrid.common.passwords import AT_ONCE, DeskArgon2Hasher
from tests.support.users import PASSWORD, make_user


def test_parameters_of_a_new_hash() -> None:
    assert make_password(PASSWORD).startswith("argon2$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.django_db
def test_an_older_hash_is_renewed_at_the_next_login() -> None:
    user = make_user("viewer")
    older = type("Older", (Argon2PasswordHasher,), {"memory_cost": 8192, "time_cost": 1})()
    user.password = older.encode(PASSWORD, "somesaltsomesalt")
    user.save()
    assert user.check_password(PASSWORD)
    user.refresh_from_db()
    assert "m=65536,t=3,p=4" in user.password
    assert user.check_password(PASSWORD)
    assert not check_password("another 42 battery", user.password)


def test_a_flood_waits_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, no more than a few are at work; the others get their turn."""
    lock, gate = threading.Lock(), threading.Event()
    working: list[int] = []
    most = 0

    def slow(self: Any, password: str, encoded: str) -> bool:
        nonlocal most
        with lock:
            working.append(1)
            most = max(most, len(working))
            if len(working) == AT_ONCE:
                gate.set()
        gate.wait(10)
        with lock:
            working.pop()
        return True

    monkeypatch.setattr(Argon2PasswordHasher, "verify", slow)
    hasher, answers = DeskArgon2Hasher(), []
    threads = [threading.Thread(target=lambda: answers.append(hasher.verify("", ""))) for _ in range(4 * AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * (4 * AT_ONCE)
    assert most == AT_ONCE
