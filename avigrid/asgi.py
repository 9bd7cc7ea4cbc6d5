"""HTTP and sockets behind one server; sockets from our own origins with the session's user, or with a token."""

import os

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev")
if not settings.configured:  # this is the web process, not something that imports it
    os.environ.setdefault("AVIGRID_DATABASE_POOL", "20")
django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from accounts.permissions.sockets import SocketDoor  # noqa: E402
from avigrid.common.asgi_handler import OneThreadHandler  # noqa: E402
from avigrid.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": OneThreadHandler(),
        "websocket": SocketDoor(URLRouter(websocket_urlpatterns)),
    }
)
