"""HTTP and sockets behind one server; sockets from our own origins with the session's user, or with a token."""

import os

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev")
is_web = not settings.configured  # the process itself, not something that imports it
if is_web:
    os.environ.setdefault("AVIGRID_DATABASE_POOL", "20")
django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from accounts.ciphers import keep_token  # noqa: E402
from accounts.permissions.sockets import SocketDoor  # noqa: E402
from accounts.services.processes import audit_this_process  # noqa: E402
from avigrid.common.asgi_handler import OneThreadHandler  # noqa: E402
from avigrid.routing import websocket_urlpatterns  # noqa: E402

if is_web:
    keep_token()
    audit_this_process("web")

application = ProtocolTypeRouter(
    {
        "http": OneThreadHandler(),
        "websocket": SocketDoor(URLRouter(websocket_urlpatterns)),
    }
)
