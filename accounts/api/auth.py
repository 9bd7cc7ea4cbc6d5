"""auth/*: tokens and the second factor."""

from copy import copy
from typing import ClassVar

from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.caller import caller
from accounts.api.lists import checked
from accounts.api.schema import OTP_HEADER, open_problems, problems
from accounts.api.serializers import (
    CodeSerializer,
    DeviceSetUpSerializer,
    LoginSerializer,
    RecoveryCodesSerializer,
    RefreshSerializer,
    TokenPairSerializer,
)
from accounts.api.throttles import LoginThrottle, RoleThrottle
from accounts.models import User
from accounts.permissions.api import api_visitor, attempts_counted
from accounts.permissions.http import CODE_HEADER
from accounts.services.login import LoginRefused, code_step, login_note, password_step
from accounts.services.second_factor import code_prove, device_begin, device_confirm, device_remove, has_device
from accounts.services.tokens import TokenRefused, tokens_issue, tokens_refresh, tokens_revoke
from avigrid.common.api_errors import Refused


class LoginView(APIView):
    """Password and code in one request. Without a device only `auth/2fa/*` is open to a trader or admin."""

    access: ClassVar = {"POST": "login"}
    authentication_classes = ()
    throttle_classes = (LoginThrottle,)

    @extend_schema(
        operation_id="auth_login",
        request=LoginSerializer,
        responses={200: TokenPairSerializer, **open_problems(401, 503)},
    )
    @method_decorator(sensitive_variables())
    def post(self, request: Request) -> Response:
        given = checked(LoginSerializer, request)
        http = request._request
        try:
            user = password_step(request=http, email=given["email"], password=given["password"])
            otp = has_device(user)
            if otp:
                code_step(request=http, user=user, code=given["code"])
        except LoginRefused as refused:
            wanted = status.HTTP_429_TOO_MANY_REQUESTS if refused.code == "locked_out" else 401
            raise Refused(refused.code, refused.message, status_code=wanted) from None
        pair = tokens_issue(user=user, otp=otp)
        _tell_of_login(http, user)
        login_note(user=user, door="api", otp_used=otp)
        return Response(TokenPairSerializer(pair).data)


def _tell_of_login(http: HttpRequest, user: User) -> None:
    """Last login, and the lockout counts anew. Without a session, which the lockout's log would open for a program."""
    bare = copy(http)
    bare.__dict__.pop("session", None)
    user_logged_in.send(sender=User, request=bare, user=user)


class RefreshView(APIView):
    """The refresh token works once; using an old one again ends the whole login."""

    access: ClassVar = {"POST": "login"}
    authentication_classes = ()
    throttle_classes = ()

    @extend_schema(
        operation_id="auth_refresh",
        request=RefreshSerializer,
        responses={200: TokenPairSerializer, **open_problems(401)},
    )
    def post(self, request: Request) -> Response:
        try:
            pair = tokens_refresh(refresh=checked(RefreshSerializer, request)["refresh"])
        except TokenRefused as refused:
            raise Refused(refused.code, refused.message, status_code=401) from None
        return Response(TokenPairSerializer(pair).data)


class LogoutView(APIView):
    """Ends the login the refresh token belongs to."""

    access: ClassVar = {"POST": "login"}
    authentication_classes = ()
    throttle_classes = ()

    @extend_schema(operation_id="auth_logout", request=RefreshSerializer, responses={204: None, **open_problems(401)})
    def post(self, request: Request) -> Response:
        try:
            tokens_revoke(refresh=checked(RefreshSerializer, request)["refresh"])
        except TokenRefused as refused:
            raise Refused(refused.code, refused.message, status_code=401) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


class DeviceSetUpView(APIView):
    """A new device, to be confirmed with its first code within 15 minutes. Replacing one needs a token issued against
    the old one and, in the header X-OTP-Code, a code of it or a recovery code."""

    access: ClassVar = {"POST": "own.session"}
    throttle_classes = (RoleThrottle,)

    @extend_schema(
        operation_id="auth_2fa_setup",
        parameters=[OTP_HEADER],
        request=None,
        responses={200: DeviceSetUpSerializer, **problems(409)},
    )
    def post(self, request: Request) -> Response:
        _refuse_unverified_owner(request)
        code = request.headers.get(CODE_HEADER, "")[:16]
        with attempts_counted():
            set_up = device_begin(user=caller(request), present_code=code, request=request._request)
        return Response(DeviceSetUpSerializer(set_up).data)


class DeviceConfirmView(APIView):
    """Confirm the device; log in again afterwards to get a token that carries the second factor. Where it replaces
    another, every other login ends."""

    access: ClassVar = {"POST": "own.session"}
    throttle_classes = (RoleThrottle,)

    @extend_schema(
        operation_id="auth_2fa_confirm",
        request=CodeSerializer,
        responses={200: RecoveryCodesSerializer, **problems(400, 409, 415)},
    )
    @method_decorator(sensitive_variables("codes"))
    def post(self, request: Request) -> Response:
        _refuse_unverified_owner(request)
        code = checked(CodeSerializer, request)["code"]
        with attempts_counted():
            _, codes = device_confirm(user=caller(request), code=code, request=request._request)
        return Response({"recovery_codes": codes})


class DeviceDisableView(APIView):
    """Remove the device, with a code of it. Every login ends; traders and admins must set up a new one to go on."""

    access: ClassVar = {"POST": "own.session"}
    throttle_classes = (RoleThrottle,)

    @extend_schema(
        operation_id="auth_2fa_disable", request=CodeSerializer, responses={204: None, **problems(400, 409, 415)}
    )
    def post(self, request: Request) -> Response:
        user, code = caller(request), checked(CodeSerializer, request)["code"]
        with attempts_counted():
            device = code_prove(user=user, code=code, request=request._request, step="device.disable")
        if device is None:
            raise Refused("wrong_code", "This code is not right, or was used already.", status_code=409)
        device_remove(user=user, actor=user, reason="asked by owner", otp_used=True)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _refuse_unverified_owner(request: Request) -> None:
    """A stolen password alone must not be able to replace the device."""
    verified = api_visitor(request).verified
    if not verified and has_device(caller(request)):
        raise Refused("device_required", "Log in with your present device first.")
