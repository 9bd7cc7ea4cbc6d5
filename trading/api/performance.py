"""performance: how the closed plans went, by UTC day of the exchange."""

from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.lists import asked_account
from accounts.api.schema import problems
from trading.models import PerformanceDay
from trading.selectors.performance import performance, performance_days

ACCOUNT = OpenApiParameter("account", int, description="trading account; the oldest active one where not given")
DAYS = OpenApiParameter("days", int, description="how many UTC days back, 1 to 1000; 30 where not given")
_MOST_DAYS = 1000


class PerformanceDaySerializer(serializers.ModelSerializer[PerformanceDay]):
    class Meta:
        model = PerformanceDay
        fields = ("day", "plans", "wins", "gross_usd", "fees_usd", "funding_usd", "won_usd", "lost_usd", "sum_r")
        read_only_fields = fields


def _decimal(**options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=None, decimal_places=None, read_only=True, **options)


class PerformanceSerializer(serializers.Serializer[object]):
    """`profit_factor` is null where nothing was lost; ratios are null without plans."""

    account = serializers.IntegerField()
    days = serializers.IntegerField()
    plans = serializers.IntegerField()
    wins = serializers.IntegerField()
    net_usd = _decimal()
    sum_r = _decimal()
    win_rate = _decimal(allow_null=True)
    profit_factor = _decimal(allow_null=True)
    expectancy_r = _decimal(allow_null=True)
    by_day = PerformanceDaySerializer(many=True)


class PerformanceView(APIView):
    """How the plans that closed in these days went, by UTC day of the exchange."""

    access: ClassVar = {"GET": "desk.read"}

    @extend_schema(
        operation_id="performance_read",
        parameters=[ACCOUNT, DAYS],
        responses={200: PerformanceSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        account = asked_account(request)
        days = _days(request)
        since = timezone.now().date() - timedelta(days=days - 1)
        found = performance(account.pk, since=since)
        body = {
            "account": account.pk,
            "days": days,
            **{name: getattr(found, name) for name in ("plans", "wins", "net_usd", "sum_r")},
            **{name: getattr(found, name) for name in ("win_rate", "profit_factor", "expectancy_r")},
            "by_day": performance_days(account.pk, since=since),
        }
        return Response(PerformanceSerializer(body).data)


def _days(request: Request) -> int:
    given = request.query_params.get("days", "30")
    days = int(given) if given.isascii() and given.isdigit() and len(given) < 9 else 0
    if not 1 <= days <= _MOST_DAYS:
        raise ValidationError({"days": [f"A number from 1 to {_MOST_DAYS} is expected."]})
    return days
