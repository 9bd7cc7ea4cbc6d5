"""Pages of accounts."""

from django.urls import path

from accounts.views import links, login, own

app_name = "accounts"
urlpatterns = [
    path("login/", login.login_page, name="login"),
    path("code/", login.code_page, name="code"),
    path("fresh/", login.fresh_page, name="fresh"),
    path("logout/", login.logout_view, name="logout"),
    path("reset/", links.reset_page, name="reset"),
    path("link/<str:token>/", links.link_page, name="link"),
    path("device/", own.device_page, name="device"),
    path("sessions/", own.sessions_page, name="sessions"),
    path("sessions/<int:session_id>/end/", own.session_end_view, name="session-end"),
    path("programs/<uuid:family_id>/end/", own.program_end_view, name="program-end"),
    path("password/", own.password_page, name="password"),
]
