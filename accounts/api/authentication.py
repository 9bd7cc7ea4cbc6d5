"""Who calls the API: a bearer token of ours, or a browser session."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from accounts.models import User
from accounts.services.tokens import TokenRefused, token_user


class TokenAuthentication(JWTAuthentication):
    """The token must be valid AND its login must still stand: deactivation, logout and role changes count at once."""

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override]
        try:
            return token_user(validated_token)
        except TokenRefused as refused:
            raise AuthenticationFailed(refused.message, code=refused.code) from None


class VerifiedSessionAuthentication(SessionAuthentication):
    """The browser's session, with the CSRF check; the permission class asks for the second factor."""


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.TokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.VerifiedSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "avigrid_session"}
