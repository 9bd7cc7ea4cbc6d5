"""api-keys and accounts: what trades, and with which key. No answer ever contains a secret."""

from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.caller import caller
from accounts.api.schema import OTP_HEADER, problems
from accounts.api.serializers import (
    AccountSerializer,
    AddedKeySerializer,
    ApiKeyCreateSerializer,
    ApiKeySerializer,
)
from accounts.models import ApiKey, TradingAccount
from accounts.selectors.trading_accounts import api_keys, trading_account, trading_accounts
from accounts.services.api_keys import api_key_add, api_key_deactivate, api_key_rotate
from avigrid.common.api_pages import NewestFirst


@extend_schema_view(
    list=extend_schema(
        operation_id="accounts_list", responses={200: AccountSerializer(many=True), **problems(400, 404)}
    )
)
class AccountViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[TradingAccount]):
    access: ClassVar = {"list": "desk.read"}
    serializer_class = AccountSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[TradingAccount]:
        return trading_accounts(active_only=False)


@extend_schema_view(
    list=extend_schema(operation_id="api_keys_list", responses={200: ApiKeySerializer(many=True), **problems(400, 404)})
)
class ApiKeyViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[ApiKey]):
    """Own keys: those the caller added."""

    access: ClassVar = {"list": "keys.read", "create": "keys.change", "destroy": "keys.change"}
    serializer_class = ApiKeySerializer
    pagination_class = NewestFirst
    lookup_value_converter = "int"

    def get_queryset(self) -> QuerySet[ApiKey]:
        return api_keys().filter(created_by=self.request.user.pk)

    @extend_schema(
        operation_id="api_keys_add",
        parameters=[OTP_HEADER],
        request=ApiKeyCreateSerializer,
        responses={201: AddedKeySerializer, **problems(400, 409, 415, 502, 503)},
    )
    @method_decorator(sensitive_variables())
    def create(self, request: Request) -> Response:
        """Tries the key at the exchange first; a key that may withdraw is refused."""
        form = ApiKeyCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = dict(form.validated_data)
        account = trading_account(given.pop("account"))
        if account is None:
            raise ValidationError({"account": ["There is no such account."]})
        store = api_key_rotate if given.pop("replace") else api_key_add
        added = store(
            account=account, trial=import_string(settings.KEY_TRIAL_CALL), actor=caller(request), otp_used=True, **given
        )
        body: dict[str, Any] = dict(ApiKeySerializer(added.key).data)
        body["warnings"] = list(added.warnings)
        return Response(body, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="api_keys_deactivate", parameters=[OTP_HEADER], responses={204: None, **problems(404)})
    def destroy(self, request: Request, pk: int) -> Response:
        """Deactivates; the row stays. Trading with this account stops."""
        api_key_deactivate(key=self.get_object(), actor=caller(request), otp_used=True)
        return Response(status=status.HTTP_204_NO_CONTENT)
