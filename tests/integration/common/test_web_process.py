"""The web process: a request is one thread's work, with connections that outlive it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.core.cache import caches
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.urls import path

from accounts.permissions.http import requires
from avigrid.common.asgi_handler import OneThreadHandler
from avigrid.common.redis_pool import SharedPool
from avigrid.settings.base import database_pool

seen: list[int] = []


class Noting:
    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        seen.append(threading.get_ident())
        return self.get_response(request)

    def process_view(self, *arguments: Any) -> None:
        seen.append(threading.get_ident())


@requires("site.public")
def noting(request: HttpRequest) -> HttpResponse:
    seen.append(threading.get_ident())
    if "fail" in request.GET:
        raise RuntimeError("planned")
    return HttpResponse("noted")


urlpatterns = [path("noting", noting)]
handler500 = "avigrid.common.api_errors.failed"


async def get(path: str, query: bytes = b"") -> int:
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": [(b"host", b"localhost")]}
    program = ApplicationCommunicator(OneThreadHandler(), {**scope, "client": ("127.0.0.1", 1)})
    await program.send_input({"type": "http.request"})
    status = (await program.receive_output(10))["status"]
    while (await program.receive_output(10)).get("more_body"):
        pass
    await program.wait(10)
    return int(status)


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(__name__)
def test_a_request_changes_threads_once(settings: Any) -> None:
    here = f"{__name__}.Noting"
    settings.MIDDLEWARE = [here, *settings.MIDDLEWARE, here]
    seen.clear()
    assert asyncio.run(get("/noting")) == 200
    assert len(seen) == 5
    assert len(set(seen)) == 1
    assert seen[0] != threading.get_ident()


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(__name__)
@pytest.mark.parametrize(("path", "query", "status"), [("/noting", b"fail=1", 500), ("/nowhere", b"", 404)])
def test_faults_are_answers_too(path: str, query: bytes, status: int) -> None:
    assert asyncio.run(get(path, query)) == status


def test_every_thread_uses_the_same_redis_connections() -> None:
    def pool(_: int) -> object:
        return caches["default"]._cache._get_connection_pool(write=True)  # type: ignore[attr-defined]

    with ThreadPoolExecutor(4) as threads:
        assert len({id(one) for one in threads.map(pool, range(8))}) == 1


def test_a_forked_child_gets_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = SharedPool.from_url(settings.REDIS_URL)
    assert SharedPool.from_url(settings.REDIS_URL) is ours
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert SharedPool.from_url(settings.REDIS_URL) is not ours


@pytest.mark.django_db(transaction=True)
def test_requests_borrow_from_a_pool() -> None:
    """Twelve threads one after another, as an ASGI server has them, share three connections."""
    options = {**settings.DATABASES["default"]["OPTIONS"], **database_pool(3)}
    wrapper = connections["default"].__class__({**connection.settings_dict, "OPTIONS": options})
    backends: list[int] = []

    def borrow() -> None:
        mine = wrapper.__class__(wrapper.settings_dict)
        with mine.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backends.append(cursor.fetchone()[0])
        mine.close()

    try:
        for _ in range(12):
            thread = threading.Thread(target=borrow)
            thread.start()
            thread.join()
    finally:
        wrapper.close_pool()
    assert len(backends) == 12
    assert len(set(backends)) <= 3
