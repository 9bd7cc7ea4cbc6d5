"""Paths of the market-data API under /api/v1/."""

from rest_framework.routers import SimpleRouter

from marketdata.api import views

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("instruments", views.InstrumentViewSet, basename="instrument")
router.register("klines", views.KlineViewSet, basename="kline")
router.register("book-features", views.BookFeatureViewSet, basename="book-feature")

urlpatterns = router.urls
