"""The web server of production (daphne) in a thread of the test's process, on a free port of the loopback."""

import threading
from functools import cache

_STARTS_WITHIN_S = 20.0


@cache
def web_server() -> str:
    """`host:port` of `avigrid.asgi`. One for the whole test session: the server's reactor cannot be started twice."""
    from daphne.server import Server

    from avigrid.asgi import application

    listening = threading.Event()
    server = Server(
        application, endpoints=["tcp:0:interface=127.0.0.1"], signal_handlers=False, ready_callable=listening.set
    )
    threading.Thread(target=server.run, name="daphne", daemon=True).start()
    assert listening.wait(_STARTS_WITHIN_S), "daphne does not listen"
    host, port = server.listening_addresses[0]
    return f"{host}:{port}"
