"""backtests, sweeps, calibrations: started here, done by workers; their results, compared and put to use."""

from collections.abc import Callable
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.caller import caller
from accounts.api.lists import ReadOnly, checked
from accounts.api.schema import OTP_HEADER, problems
from trading.api.research_results import (
    ActivateSerializer,
    ComparisonSerializer,
    HeatMapSerializer,
    ReportSerializer,
)
from trading.api.serializers import StrategySerializer
from trading.models import ResearchKind, ResearchRun, ResearchStatus
from trading.selectors.heat_map import heat_map
from trading.selectors.research import research_run, research_runs
from trading.selectors.research_comparison import compare_runs
from trading.services.calibrations import activate_calibration
from trading.services.research import research_cancel, research_start

_START_EXAMPLES = {
    "backtests": {"symbols": ["BTCUSDT"], "from": "2026-01-01", "to": "2026-03-01", "config": {"profile": "swing"}},
    "sweeps": {"symbols": ["BTCUSDT", "ETHUSDT"], "axes": {"theta": [0.25, 0.35, 0.45], "atr_mult_x": [6, 8, 10]}},
    "calibrations": {"symbols": ["BTCUSDT"], "train_days": 180, "test_days": 30, "step_days": 30},
}


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
    """`symbols`, `config` (changes to the strategy in use), `from`, `to`, `r_usd`, `equity_usd`, `taker_fee` and
    `maker_fee` (ratios, 0.00055 is 0.055 %), `anti_churn_s` (between two entries of one side); a sweep's `axes`; a
    calibration's `train_days`, `test_days`, `step_days`, `thetas`, `least_trades`, `least_trades_out`, `accept_pf` and
    `psi_limit`.
    """

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
        "compare": "research.read",
        "report": "research.read",
        "heat_map": "research.read",
        "activate": "calibration.activate",
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
        done = research_cancel(run_id=self._run(pk).pk, actor=caller(request), now=timezone.now())
        return Response({"cancelled": done})

    def compare(self, request: Request, pk: int, other: int) -> Response:
        """Two finished runs of this kind: what differs in request and numbers, and every measure of both."""
        found = compare_runs(self._run(pk).pk, self._run(other).pk)
        if found is None:
            raise Http404
        return Response(ComparisonSerializer(found).data)

    def _run(self, pk: int) -> ResearchRun:
        run = research_run(pk)
        if run is None or run.kind != self.kind.value:
            raise Http404
        return run


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
            examples=[OpenApiExample(name, {"params": _START_EXAMPLES[name]}, request_only=True)],
            responses={202: ResearchRunSerializer, **problems(400, 409, 415)},
        ),
    )


_DETAIL: dict[str, Any] = {"detail": True, "pagination_class": None, "filterset_class": None}


def _compare(name: str) -> Callable[[Any], Any]:
    described = extend_schema(
        operation_id=f"{name}_compare",
        parameters=[OpenApiParameter("other", int, OpenApiParameter.PATH, description="the run to compare with")],
        responses={200: ComparisonSerializer, **problems(404)},
        filters=False,
    )
    routed = action(methods=["get"], url_path="compare/<int:other>", **_DETAIL)
    return lambda operation: described(routed(operation))


def _cancel(name: str) -> Callable[[Any], Any]:
    described = extend_schema(
        operation_id=f"{name}_cancel",
        request=None,
        responses={200: CancelledSerializer, **problems(404, 415)},
        filters=False,
    )
    routed = action(methods=["post"], **_DETAIL)
    return lambda operation: described(routed(operation))


@_described("backtests")
class BacktestViewSet(_ResearchViewSet):
    kind = ResearchKind.BACKTEST

    @_cancel("backtests")
    def cancel(self, request: Request, pk: int) -> Response:
        return super().cancel(request, pk)

    @_compare("backtests")
    def compare(self, request: Request, pk: int, other: int) -> Response:
        return super().compare(request, pk, other)

    @extend_schema(operation_id="backtests_report", responses={200: ReportSerializer, **problems(404)}, filters=False)
    @action(methods=["get"], **_DETAIL)
    def report(self, request: Request, pk: int) -> Response:
        """The report page as it was made: plots, tables, stated assumptions. 404 until the run is done."""
        run = self._run(pk)
        if not run.report_html:
            raise Http404
        return Response(ReportSerializer(run).data)


@_described("sweeps")
class SweepViewSet(_ResearchViewSet):
    kind = ResearchKind.SWEEP

    @_cancel("sweeps")
    def cancel(self, request: Request, pk: int) -> Response:
        return super().cancel(request, pk)

    @_compare("sweeps")
    def compare(self, request: Request, pk: int, other: int) -> Response:
        return super().compare(request, pk, other)


@_described("calibrations")
class CalibrationViewSet(_ResearchViewSet):
    kind = ResearchKind.CALIBRATE

    @_cancel("calibrations")
    def cancel(self, request: Request, pk: int) -> Response:
        return super().cancel(request, pk)

    @_compare("calibrations")
    def compare(self, request: Request, pk: int, other: int) -> Response:
        return super().compare(request, pk, other)

    @extend_schema(
        operation_id="calibrations_heat_map", responses={200: HeatMapSerializer, **problems(404)}, filters=False
    )
    @action(methods=["get"], **_DETAIL)
    def heat_map(self, request: Request, pk: int) -> Response:
        """theta per UTC hour and fold. 404 until the run is done."""
        found = heat_map(self._run(pk))
        if found is None:
            raise Http404
        return Response(HeatMapSerializer(found).data)

    @extend_schema(
        operation_id="calibrations_activate",
        parameters=[OTP_HEADER],
        request=ActivateSerializer,
        examples=[OpenApiExample("activate", {"reason": "steady over four folds"}, request_only=True)],
        responses={201: StrategySerializer, **problems(400, 404, 409, 415)},
        filters=False,
    )
    @action(methods=["post"], **_DETAIL)
    def activate(self, request: Request, pk: int) -> Response:
        """Its theta(h) and dead hours in a new, active version of the numbers in use; the run stays as it is.

        409 where it was made with other numbers, is not finished or is in use already. What was live starts over.
        """
        reason = checked(ActivateSerializer, request)["reason"]
        version = activate_calibration(
            run_id=self._run(pk).pk, actor=caller(request), reason=reason, otp_used=True, now=timezone.now()
        )
        return Response(StrategySerializer(version).data, status=status.HTTP_201_CREATED)
