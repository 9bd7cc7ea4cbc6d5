"""Paths of the accounts API under /api/v1/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from accounts.api import api_keys, audit, auth, users

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("users", users.UserViewSet, basename="user")
router.register("accounts", api_keys.AccountViewSet, basename="account")
router.register("api-keys", api_keys.ApiKeyViewSet, basename="api-key")
router.register("audit", audit.AuditViewSet, basename="audit")

app_name = "accounts-api"
urlpatterns = [
    path("auth/login", auth.LoginView.as_view(), name="login"),
    path("auth/refresh", auth.RefreshView.as_view(), name="refresh"),
    path("auth/logout", auth.LogoutView.as_view(), name="logout"),
    path("auth/2fa/setup", auth.DeviceSetUpView.as_view(), name="2fa-setup"),
    path("auth/2fa/confirm", auth.DeviceConfirmView.as_view(), name="2fa-confirm"),
    path("auth/2fa/disable", auth.DeviceDisableView.as_view(), name="2fa-disable"),
    path("", include(router.urls)),
]
