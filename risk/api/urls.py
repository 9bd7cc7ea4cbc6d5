"""Paths of the risk API under /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from risk.api import views

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("risk/decisions", views.RiskDecisionViewSet, basename="risk-decision")
router.register("risk/state-changes", views.StateChangeViewSet, basename="state-change")

urlpatterns = [
    path("risk/limits", views.LimitsView.as_view()),
    path("risk/state", views.StateView.as_view()),
    path("admin/kill_switch", views.KillSwitchView.as_view()),
    path("admin/flatten", views.FlattenView.as_view()),
    path("admin/rearm", views.RearmView.as_view()),
    *router.urls,
]
