"""Socket paths of every app."""

from accounts.routing import websocket_urlpatterns as live
from trading.routing import websocket_urlpatterns as screens

websocket_urlpatterns = [*screens, *live]
