"""plans and positions."""

from collections.abc import Callable
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.caller import caller
from accounts.api.filters import TimeFilter
from accounts.api.idempotent import idempotent
from accounts.api.lists import ReadOnly, checked
from accounts.api.schema import IDEMPOTENCY_HEADER, problems
from avigrid.kernel.errors import Rejected
from trading.api.serializers import PlanSerializer, PositionSerializer, ReasonSerializer
from trading.models import OPEN_PLAN_STATUSES, Plan, PlanStatus, Position
from trading.services.plan_commands import plan_break_even, plan_cancel_entries, plan_close


class PlanFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=PlanStatus.choices)
    is_open = django_filters.BooleanFilter(method="by_open")
    since = TimeFilter(field_name="created_at", lookup_expr="gte")
    until = TimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Plan
        fields: ClassVar = {"account": ["exact"], "symbol": ["exact"]}

    def by_open(self, plans: QuerySet[Plan], name: str, value: bool) -> QuerySet[Plan]:
        return plans.filter(status__in=OPEN_PLAN_STATUSES) if value else plans.exclude(status__in=OPEN_PLAN_STATUSES)


def _command(operation_id: str, sentence: str) -> Callable[[Any], Any]:
    return extend_schema(
        operation_id=operation_id,
        description=sentence,
        parameters=[IDEMPOTENCY_HEADER],
        request=ReasonSerializer,
        responses={200: PlanSerializer, **problems(400, 404, 409, 415)},
        filters=False,
    )


@extend_schema_view(
    list=extend_schema(operation_id="plans_list", responses={200: PlanSerializer(many=True), **problems(400, 404)}),
    retrieve=extend_schema(operation_id="plans_read", responses={200: PlanSerializer, **problems(404)}),
)
class PlanViewSet(ReadOnly):
    access: ClassVar = {
        "list": "desk.read",
        "retrieve": "desk.read",
        "close": "plan.close",
        "break_even": "plan.close",
        "cancel_entries": "plan.close",
    }
    serializer_class = PlanSerializer
    filterset_class = PlanFilter

    def get_queryset(self) -> QuerySet[Plan]:
        return Plan.objects.defer("spec", "state").order_by()

    @_command("plans_close", "Cancel what rests, close what is held. 409 where the plan is over.")
    @action(detail=True, methods=["post"], pagination_class=None, filterset_class=None)
    @idempotent
    def close(self, request: Request, pk: int) -> Response:
        return _done(plan_close, request, pk)

    @_command("plans_break_even", "Move the stop to break-even as soon as the price allows.")
    @action(detail=True, methods=["post"], pagination_class=None, filterset_class=None, url_path="break-even")
    @idempotent
    def break_even(self, request: Request, pk: int) -> Response:
        return _done(plan_break_even, request, pk)

    @_command("plans_cancel_entries", "Nothing more is bought for this plan; its exits stay.")
    @action(detail=True, methods=["post"], pagination_class=None, filterset_class=None, url_path="cancel-entries")
    @idempotent
    def cancel_entries(self, request: Request, pk: int) -> Response:
        return _done(plan_cancel_entries, request, pk)


class PositionFilter(django_filters.FilterSet):
    is_open = django_filters.BooleanFilter(method="by_open")

    class Meta:
        model = Position
        fields: ClassVar = {"account": ["exact"], "symbol": ["exact"]}

    def by_open(self, positions: QuerySet[Position], name: str, value: bool) -> QuerySet[Position]:
        return positions.exclude(size=0) if value else positions.filter(size=0)


@extend_schema_view(
    list=extend_schema(
        operation_id="positions_list", responses={200: PositionSerializer(many=True), **problems(400, 404)}
    ),
    retrieve=extend_schema(operation_id="positions_read", responses={200: PositionSerializer, **problems(404)}),
)
class PositionViewSet(ReadOnly):
    access: ClassVar = {"list": "desk.read", "retrieve": "desk.read", "close": "plan.close"}
    serializer_class = PositionSerializer
    filterset_class = PositionFilter

    def get_queryset(self) -> QuerySet[Position]:
        return Position.objects.order_by()

    @_command("positions_close", "Close the plan that holds this position. 409 where it is closed.")
    @action(detail=True, methods=["post"], pagination_class=None, filterset_class=None)
    @idempotent
    def close(self, request: Request, pk: int) -> Response:
        position = Position.objects.filter(pk=pk).first()
        if position is None:
            raise Http404
        plan = Plan.objects.filter(
            account=position.account_id,
            symbol=position.symbol,
            position_idx=position.position_idx,
            status__in=OPEN_PLAN_STATUSES,
        ).first()
        if plan is None:
            raise Rejected("No open plan holds this position.", code="position_closed")
        return _done(plan_close, request, plan.pk)


def _done(command: Callable[..., Plan], request: Request, plan_id: int) -> Response:
    if not Plan.objects.filter(pk=plan_id).exists():
        raise Http404
    reason = checked(ReasonSerializer, request)["reason"]
    return Response(PlanSerializer(command(plan_id=plan_id, user=caller(request), reason=reason)).data)
