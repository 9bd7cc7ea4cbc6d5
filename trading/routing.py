"""Socket paths of the desk."""

from django.urls import path

from trading.consumers import ScreenConsumer

websocket_urlpatterns = [path("ws/screen/", ScreenConsumer.as_asgi())]
