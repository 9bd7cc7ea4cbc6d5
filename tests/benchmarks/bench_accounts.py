"""What a login costs, and how many audit entries a second the chain takes.

Run: python -m tests.benchmarks.bench_accounts. A database of its own, dropped at the end. Logins: password (Argon2) and
code, one after another, in this process. Audit entries: each in a transaction of its own, by 1, 8 and 50 writers at
once, and then proved from the first to the last.
"""

import json
import os
import sys
import threading
import time
from typing import Any

import django


def quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }


def logins(count: int = 30) -> dict[str, Any]:
    from django.core.cache import cache
    from rest_framework.test import APIClient

    from tests.support.users import PASSWORD, code_for, make_user

    user = make_user("trader", password=PASSWORD)
    client, took = APIClient(SERVER_NAME="localhost"), []
    for _ in range(count):
        cache.clear()
        body = {"email": user.email, "password": PASSWORD, "code": code_for(user)}
        begin = time.perf_counter()
        answer = client.post("/api/v1/auth/login", body, format="json")
        took.append(time.perf_counter() - begin)
        assert answer.status_code == 200, answer.content
    return {"login": quantiles(took)}


def hashes(count: int = 10) -> dict[str, Any]:
    """The password alone, beside Django's own parameters."""
    from django.contrib.auth.hashers import Argon2PasswordHasher

    from avigrid.common.passwords import DeskArgon2Hasher
    from tests.support.users import PASSWORD

    report: dict[str, Any] = {}
    for hasher in (DeskArgon2Hasher(), Argon2PasswordHasher()):
        encoded, took = hasher.encode(PASSWORD, "somesaltsomesalt"), []
        for _ in range(count):
            begin = time.perf_counter()
            assert hasher.verify(PASSWORD, encoded)
            took.append(time.perf_counter() - begin)
        shape = f"{hasher.memory_cost // 1024} MiB, {hasher.time_cost} passes, {hasher.parallelism} lanes"
        report[f"hash ({shape})"] = quantiles(took)
    return report


def audits(entries: int = 2000) -> dict[str, Any]:
    from django.db import connections

    from accounts.selectors.audit_chain import verify_chain
    from accounts.services.audit import audit

    def write(number: int, each: int) -> None:
        for step in range(each):
            audit(actor=f"writer{number}", action="bench", obj=f"thing:{step}", after={"value": step})
        connections.close_all()

    report: dict[str, Any] = {}
    for writers in (1, 8, 50):
        each = entries // writers
        begin = time.perf_counter()
        threads = [threading.Thread(target=write, args=(number, each)) for number in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report[f"audit_entries_per_s_{writers}_writers"] = round(each * writers / (time.perf_counter() - begin))
    begin = time.perf_counter()
    checked = verify_chain()
    assert checked.is_good, checked
    report["entries"] = checked.checked
    report["verified_per_s"] = round(checked.checked / (time.perf_counter() - begin))
    return report


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.bench")
    os.environ.setdefault("AVIGRID_LOG_LEVEL", "ERROR")
    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    from tests.support import audit_flush

    audit_flush.install()
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        report = hashes() | logins() | audits()
    finally:
        teardown_databases(databases, verbosity=0)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
