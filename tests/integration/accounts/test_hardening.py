"""What every answer tells the browser, and what production refuses to be without."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.support.users import login, make_user

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/accounts/login/", "/", "/admin/", "/api/v1/accounts", "/accounts/nowhere/"])
def test_headers_of_every_answer(client: Client, path: str) -> None:
    login(client, make_user("admin"), fresh_code=True)
    answer = client.get(path)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";") if part.strip()}
    assert "'unsafe-inline'" not in directives["script-src"]
    if path != "/admin/":  # its theme cannot live without
        assert directives["script-src"] == ["'self'"]
        assert directives["style-src"] == ["'self'"]
    assert "frame-ancestors 'none'" in policy
    assert "object-src 'none'" in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


def test_pages_behind_the_login_are_not_cached(client: Client) -> None:
    login(client, make_user("viewer"))
    assert "no-store" in client.get("/accounts/sessions/")["Cache-Control"]


def test_session_cookie_is_out_of_reach_of_scripts(client: Client) -> None:
    user = make_user("viewer", password="correct horse 42 battery")
    client.post("/accounts/login/", {"email": user.email, "password": "correct horse 42 battery"})
    cookie = client.cookies["avigrid_session"]
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"


def test_session_key_changes_at_login(client: Client) -> None:
    user = make_user("trader", password="correct horse 42 battery")
    client.post("/accounts/login/", {"email": user.email, "password": "correct horse 42 battery"})
    before = client.cookies["avigrid_session"].value
    from tests.support.users import code_for

    client.post("/accounts/code/", {"code": code_for(user)})
    assert client.cookies["avigrid_session"].value != before


def test_forms_need_the_csrf_token() -> None:
    strict = login(Client(enforce_csrf_checks=True), make_user("trader"))
    assert strict.post("/accounts/logout/").status_code == 403
    assert strict.get("/accounts/sessions/").status_code == 200


def test_bodies_are_limited(client: Client) -> None:
    big = b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    assert client.post("/accounts/login/", big, content_type="application/octet-stream").status_code == 413
    unsized = client.generic("POST", "/accounts/login/", b"", headers={"Transfer-Encoding": "chunked"})
    assert unsized.status_code == 411


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example"])
def test_foreign_host_headers_are_refused(client: Client, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 400


def production_environment() -> dict[str, str]:
    keep = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL", "PATH") if name in os.environ}
    return {
        **keep,
        "DJANGO_SETTINGS_MODULE": "avigrid.settings.prod",
        "AVIGRID_SECRET_KEY": "k7-" + "Zq3vT9xL" * 8,
        "AVIGRID_ALLOWED_HOSTS": "desk.example",
        "AVIGRID_CSRF_TRUSTED_ORIGINS": "https://desk.example",
        "VAULT_ADDR": "https://vault.example:8200",
        "VAULT_TOKEN": "only-for-tests",
    }


def manage(*arguments: str, **environment: Any) -> subprocess.CompletedProcess[str]:
    env = {**production_environment(), **environment}
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=ROOT,
        env={name: value for name, value in env.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_deploy_is_clean() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


def test_production_refuses_to_start_without_vault() -> None:
    done = manage("check", VAULT_ADDR=None)
    assert done.returncode != 0
    assert "VAULT_ADDR" in done.stderr


def test_production_refuses_to_start_without_a_secret_key() -> None:
    done = manage("check", AVIGRID_SECRET_KEY=None)
    assert done.returncode != 0
    assert "AVIGRID_SECRET_KEY" in done.stderr
