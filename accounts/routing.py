"""Socket paths of accounts."""

from django.urls import path

from accounts.consumers import LiveConsumer

websocket_urlpatterns = [path("ws/live/", LiveConsumer.as_asgi())]
