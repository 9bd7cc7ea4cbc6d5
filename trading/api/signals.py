"""signals and decisions."""

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.caller import caller
from accounts.api.filters import TimeFilter
from accounts.api.idempotent import idempotent
from accounts.api.lists import ReadOnly, checked
from accounts.api.schema import IDEMPOTENCY_HEADER, problems
from accounts.selectors.trading_accounts import primary_account, trading_account
from trading.api.serializers import (
    DecisionSerializer,
    LevelsSerializer,
    PlacementSerializer,
    PlaceSerializer,
    SignalSerializer,
)
from trading.models import Decision, Signal, SignalStatus
from trading.services.placing import signal_place

_SIDES = [("long", "long"), ("short", "short")]
_REFUSED = (
    "Not placed, as JSON with the reason in `code`; or, as a problem body, refused before that was looked at"
    " (`idempotency_key_reused`)."
)


class SignalFilter(django_filters.FilterSet):
    side = django_filters.ChoiceFilter(choices=_SIDES, method="by_side")
    status = django_filters.ChoiceFilter(choices=SignalStatus.choices)
    min_probability = django_filters.NumberFilter(
        field_name="p_win", lookup_expr="gte", min_value=0, max_value=1, help_text="0 to 1"
    )
    since = TimeFilter(field_name="created_at", lookup_expr="gte")
    until = TimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Signal
        fields: ClassVar = {"symbol": ["exact"]}

    def by_side(self, signals: QuerySet[Signal], name: str, value: str) -> QuerySet[Signal]:
        return signals.filter(direction=1 if value == "long" else -1)


@extend_schema_view(
    list=extend_schema(operation_id="signals_list", responses={200: SignalSerializer(many=True), **problems(400, 404)}),
    retrieve=extend_schema(operation_id="signals_read", responses={200: SignalSerializer, **problems(404)}),
)
class SignalViewSet(ReadOnly):
    access: ClassVar = {
        "list": "desk.read",
        "retrieve": "desk.read",
        "levels": "desk.read",
        "decision": "desk.read",
        "place": "signal.place",
    }
    serializer_class = SignalSerializer
    filterset_class = SignalFilter

    def get_queryset(self) -> QuerySet[Signal]:
        return Signal.objects.defer("spec").order_by()

    @extend_schema(operation_id="signals_levels", responses={200: LevelsSerializer, **problems(404)}, filters=False)
    @action(detail=True, pagination_class=None, filterset_class=None)
    def levels(self, request: Request, pk: int) -> Response:
        """Rungs, stop, take-profits and sizes."""
        signal = _signal(pk)
        return Response({"signal": signal.pk, "spec": signal.spec})

    @extend_schema(operation_id="signals_decision", responses={200: DecisionSerializer, **problems(404)}, filters=False)
    @action(detail=True, pagination_class=None, filterset_class=None)
    def decision(self, request: Request, pk: int) -> Response:
        """Why: every rule with its value."""
        return Response(DecisionSerializer(_signal(pk).decision).data)

    @extend_schema(
        operation_id="signals_place",
        parameters=[IDEMPOTENCY_HEADER],
        request=PlaceSerializer,
        responses={
            201: PlacementSerializer,
            (409, "application/json"): OpenApiResponse(PlacementSerializer, description=_REFUSED),
            **problems(400, 404, 409, 415),
        },
        filters=False,
    )
    @action(detail=True, methods=["post"], pagination_class=None, filterset_class=None)
    @idempotent
    def place(self, request: Request, pk: int) -> Response:
        """Place the signal. 201: a plan exists and its orders are on their way. 409: refused, with the reason."""
        signal = _signal(pk)
        given = checked(PlaceSerializer, request)
        account = trading_account(given["account"]) if "account" in given else primary_account()
        if account is None:
            raise ValidationError({"account": ["There is no such trading account."]})
        placement = signal_place(signal_id=signal.pk, account_id=account.pk, user=caller(request))
        placed = status.HTTP_201_CREATED if placement.placed else status.HTTP_409_CONFLICT
        return Response(PlacementSerializer(placement).data, status=placed)


class DecisionFilter(django_filters.FilterSet):
    since = TimeFilter(field_name="bar_start", lookup_expr="gte")
    until = TimeFilter(field_name="bar_start", lookup_expr="lt")

    class Meta:
        model = Decision
        fields: ClassVar = {"symbol": ["exact"], "status": ["exact"]}


@extend_schema_view(
    list=extend_schema(
        operation_id="decisions_list", responses={200: DecisionSerializer(many=True), **problems(400, 404)}
    ),
    retrieve=extend_schema(operation_id="decisions_read", responses={200: DecisionSerializer, **problems(404)}),
)
class DecisionViewSet(ReadOnly):
    """Every evaluation of every closed bar, with and without a signal."""

    access: ClassVar = {"list": "market.read", "retrieve": "market.read"}
    serializer_class = DecisionSerializer
    filterset_class = DecisionFilter

    def get_queryset(self) -> QuerySet[Decision]:
        return Decision.objects.order_by()


def _signal(pk: int) -> Any:
    signal = Signal.objects.select_related("decision").filter(pk=pk).first()
    if signal is None:
        raise Http404
    return signal
