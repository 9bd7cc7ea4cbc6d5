"""backtests, sweeps, calibrations: started here, done by workers; and performance."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.caller import caller
from accounts.api.lists import ReadOnly, asked_account, checked
from accounts.api.schema import problems
from trading.models import PerformanceDay, ResearchKind, ResearchRun, ResearchStatus
from trading.selectors.performance import performance, performance_days
from trading.selectors.research import research_run, research_runs
from trading.services.research import research_cancel, research_start

ACCOUNT = OpenApiParameter("account", int, description="trading account; the oldest active one where not given")
DAYS = OpenApiParameter("days", int, description="how many UTC days back, 1 to 1000; 30 where not given")
_MOST_DAYS = 1000


class RunSummarySerializer(serializers.ModelSerializer[ResearchRun]):
    class Meta:
        model = ResearchRun
        fields = (
            "id",
            "kind",
            "status",
            "params",
            "config_hash",
            "data_hash",
            "shards",
            "shards_done",
            "cancel_requested",
            "error",
            "created_at",
            "started_at",
            "ended_at",
        )
        read_only_fields = fields


class ResearchRunSerializer(RunSummarySerializer):
    result = serializers.DictField(read_only=True, allow_null=True)
    config = serializers.DictField(read_only=True)

    class Meta(RunSummarySerializer.Meta):
        fields = (*RunSummarySerializer.Meta.fields, "config", "result")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class ResearchStartSerializer(serializers.Serializer[object]):
    """`symbols`, `config` (changes to the strategy in use), `from`, `to`, `r_usd`, `equity_usd`; a sweep's `axes`; a
    calibration's `train_days`, `test_days`, `step_days`."""

    params = serializers.DictField()


class CancelledSerializer(serializers.Serializer[object]):
    cancelled = serializers.BooleanField(help_text="false where it had ended")


class ResearchFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=ResearchStatus.choices)

    class Meta:
        model = ResearchRun
        fields: ClassVar[list[str]] = []


class _ResearchViewSet(ReadOnly):
    kind: ClassVar[ResearchKind]
    access: ClassVar = {
        "list": "research.read",
        "retrieve": "research.read",
        "create": "research.run",
        "cancel": "research.run",
    }
    filterset_class = ResearchFilter

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return RunSummarySerializer if self.action == "list" else ResearchRunSerializer

    def get_queryset(self) -> QuerySet[ResearchRun]:
        rows = research_runs(self.kind.value)
        return rows if self.action == "list" else rows.defer(None)

    def create(self, request: Request) -> Response:
        """Checked now, done by a worker; follow it by its id or the event stream."""
        params = checked(ResearchStartSerializer, request)["params"]
        run = research_start(kind=self.kind.value, params=params, actor=caller(request), now=timezone.now())
        return Response(ResearchRunSerializer(run).data, status=status.HTTP_202_ACCEPTED)

    def cancel(self, request: Request, pk: int) -> Response:
        """A waiting run ends at once, a running one at its worker's next look."""
        run = research_run(pk)
        if run is None or run.kind != self.kind.value:
            raise Http404
        done = research_cancel(run_id=run.pk, actor=caller(request), now=timezone.now())
        return Response({"cancelled": done})


def _described(name: str) -> Any:
    """The same operations for each kind, under its own name."""
    return extend_schema_view(
        list=extend_schema(
            operation_id=f"{name}_list", responses={200: RunSummarySerializer(many=True), **problems(400, 404)}
        ),
        retrieve=extend_schema(operation_id=f"{name}_read", responses={200: ResearchRunSerializer, **problems(404)}),
        create=extend_schema(
            operation_id=f"{name}_start",
            request=ResearchStartSerializer,
            responses={202: ResearchRunSerializer, **problems(400, 409, 415)},
        ),
    )


def _cancel(name: str) -> Callable[[Any], Any]:
    described = extend_schema(
        operation_id=f"{name}_cancel",
        request=None,
        responses={200: CancelledSerializer, **problems(404, 415)},
        filters=False,
    )
    routed = action(detail=True, methods=["post"], pagination_class=None, filterset_class=None)
    return lambda operation: described(routed(operation))


@_described("backtests")
class BacktestViewSet(_ResearchViewSet):
    kind = ResearchKind.BACKTEST

    @_cancel("backtests")
    def cancel(self, request: Request, pk: int) -> Response:
        return super().cancel(request, pk)


@_described("sweeps")
class SweepViewSet(_ResearchViewSet):
    kind = ResearchKind.SWEEP

    @_cancel("sweeps")
    def cancel(self, request: Request, pk: int) -> Response:
        return super().cancel(request, pk)


@_described("calibrations")
class CalibrationViewSet(_ResearchViewSet):
    kind = ResearchKind.CALIBRATE

    @_cancel("calibrations")
    def cancel(self, request: Request, pk: int) -> Response:
        return super().cancel(request, pk)


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
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= _MOST_DAYS):
        raise ValidationError({"days": [f"A number from 1 to {_MOST_DAYS} is expected."]})
    return int(given)
