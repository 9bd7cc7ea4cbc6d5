"""What every list of the API shares."""

from typing import Any

from rest_framework import mixins, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.models import TradingAccount
from accounts.selectors.trading_accounts import primary_account, trading_account
from avigrid.common.api_pages import NewestFirst


class ReadOnly(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Any]):
    """List by cursor, newest first, and read one."""

    pagination_class = NewestFirst
    lookup_value_converter = "int"


class ListOnly(mixins.ListModelMixin, viewsets.GenericViewSet[Any]):
    pagination_class = NewestFirst


def asked_account(request: Request) -> TradingAccount:
    """`?account=` or, without it, the oldest active one. Raises a 400 that names the field."""
    given = request.query_params.get("account", "")
    if given and not (given.isascii() and given.isdigit() and len(given) < 19):
        raise ValidationError({"account": ["A number is expected."]})
    account = trading_account(int(given)) if given else primary_account()
    if account is None:
        raise ValidationError({"account": ["There is no such trading account."]})
    return account


def checked(serializer: type[Any], request: Request) -> dict[str, Any]:
    """The validated body. Raises a 400 that names the fields."""
    form = serializer(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)
