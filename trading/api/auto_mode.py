"""auto-modes: which symbols the software may place by itself, until when; switching one on and off."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.caller import caller
from accounts.api.lists import asked_account, checked
from accounts.api.schema import OTP_HEADER, problems
from trading.models import AutoMode
from trading.selectors.auto_mode import auto_modes_standing
from trading.services.auto_mode import LONGEST_MIN, SHORTEST_MIN, auto_mode_grant, auto_mode_revoke

ACCOUNT = OpenApiParameter("account", int, description="trading account; the oldest active one where not given")


class AutoModeSerializer(serializers.ModelSerializer[AutoMode]):
    class Meta:
        model = AutoMode
        fields = ("id", "account", "symbol", "granted_by", "granted_at", "until", "reason")
        read_only_fields = fields


class AutoModeListSerializer(serializers.Serializer[object]):
    standing = AutoModeSerializer(many=True)


class GrantSerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField(max_length=32)
    minutes = serializers.IntegerField(min_value=SHORTEST_MIN, max_value=LONGEST_MIN)
    reason = serializers.CharField(max_length=300)


class RevokeSerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField(max_length=32)
    reason = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)


class RevokedSerializer(serializers.Serializer[object]):
    revoked = serializers.BooleanField(help_text="false: it was off already")


class AutoModesView(APIView):
    access: ClassVar = {"GET": "desk.read", "POST": "auto.grant"}

    @extend_schema(
        operation_id="auto_modes_list", parameters=[ACCOUNT], responses={200: AutoModeListSerializer, **problems(400)}
    )
    def get(self, request: Request) -> Response:
        """What stands now; every other symbol is off."""
        standing = auto_modes_standing(asked_account(request).pk, now=timezone.now())
        return Response(AutoModeListSerializer({"standing": standing}).data)

    @extend_schema(
        operation_id="auto_modes_grant",
        parameters=[ACCOUNT, OTP_HEADER],
        request=GrantSerializer,
        responses={201: AutoModeSerializer, **problems(400, 409, 415)},
    )
    def post(self, request: Request) -> Response:
        """Let signals of one symbol be placed automatically for a while; what stood before is replaced."""
        account, asked = asked_account(request), checked(GrantSerializer, request)
        mode = auto_mode_grant(account_id=account.pk, user=caller(request), otp_used=True, now=timezone.now(), **asked)
        return Response(AutoModeSerializer(mode).data, status=status.HTTP_201_CREATED)


class AutoModeRevokeView(APIView):
    access: ClassVar = {"POST": "auto.revoke"}

    @extend_schema(
        operation_id="auto_modes_revoke",
        parameters=[ACCOUNT],
        request=RevokeSerializer,
        responses={200: RevokedSerializer, **problems(400, 409, 415)},
    )
    def post(self, request: Request) -> Response:
        """Off at once. Plans it placed stay, and are closed like any other."""
        account, asked = asked_account(request), checked(RevokeSerializer, request)
        revoked = auto_mode_revoke(account_id=account.pk, user=caller(request), now=timezone.now(), **asked)
        return Response({"revoked": revoked})
