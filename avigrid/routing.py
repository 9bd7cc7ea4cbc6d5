"""Socket paths of every app."""

from trading.routing import websocket_urlpatterns

__all__ = ["websocket_urlpatterns"]
