"""risk/limits, risk/state, risk/decisions, admin/kill_switch."""

from dataclasses import asdict
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.caller import caller
from accounts.api.filters import TimeFilter
from accounts.api.idempotent import idempotent_if_keyed
from accounts.api.lists import ReadOnly, asked_account, checked
from accounts.api.schema import OPTIONAL_IDEMPOTENCY_HEADER, OTP_HEADER, problems
from risk.api.serializers import (
    HaltSerializer,
    LimitsPatchSerializer,
    LimitsSerializer,
    RearmSerializer,
    RiskDecisionSerializer,
    RiskStateSerializer,
    StateChangeSerializer,
    SwitchSerializer,
)
from risk.core.states import State, StateSource
from risk.models import RiskDecision, TradingStateChange
from risk.selectors.guards import effective_state, states_of
from risk.selectors.history import decisions, state_changes
from risk.selectors.limits import current_limits
from risk.selectors.locks import locks_of
from risk.services.limits import limits_update
from risk.services.states import halt, rearm

ACCOUNT = OpenApiParameter("account", int, description="trading account; the oldest active one where not given")


class LimitsView(APIView):
    """The limits in force."""

    access: ClassVar = {"GET": "risk.read", "PATCH": "limits.change"}

    @extend_schema(
        operation_id="risk_limits_read", parameters=[ACCOUNT], responses={200: LimitsSerializer, **problems(400)}
    )
    def get(self, request: Request) -> Response:
        return Response(_limits(asked_account(request).pk))

    @extend_schema(
        operation_id="risk_limits_change",
        parameters=[ACCOUNT, OTP_HEADER],
        request=LimitsPatchSerializer,
        responses={200: LimitsSerializer, **problems(400, 409, 415)},
    )
    def patch(self, request: Request) -> Response:
        """A new version with what is given changed; in force for the next decision."""
        account = asked_account(request)
        given = checked(LimitsPatchSerializer, request)
        reason, expected = given.pop("reason"), given.pop("expected_version", None)
        limits_update(
            account_id=account.pk,
            changes=given,
            actor=caller(request),
            reason=reason,
            otp_used=True,
            expected_version=expected,
        )
        return Response(_limits(account.pk))


class StateView(APIView):
    """Trading state of the account and its symbols, and the locks that run."""

    access: ClassVar = {"GET": "risk.read"}

    @extend_schema(
        operation_id="risk_state_read", parameters=[ACCOUNT], responses={200: RiskStateSerializer, **problems(400)}
    )
    def get(self, request: Request) -> Response:
        account = asked_account(request)
        body = {
            "account": account.pk,
            "state": effective_state(account.pk),
            "states": states_of(account.pk),
            "locks": locks_of(account.pk, timezone.now()),
        }
        return Response(RiskStateSerializer(body).data)


class KillSwitchView(APIView):
    """HALT: no new risk, resting entries cancelled; exits and stops stay."""

    access: ClassVar = {"POST": "halt"}

    @extend_schema(
        operation_id="kill_switch",
        parameters=[ACCOUNT, OPTIONAL_IDEMPOTENCY_HEADER],
        request=HaltSerializer,
        responses={200: SwitchSerializer, **problems(400, 409, 415)},
    )
    @idempotent_if_keyed
    def post(self, request: Request) -> Response:
        return _switch(request, flatten=False)


class FlattenView(APIView):
    """HALT, and close everything by reduce-only orders until the exchange says flat."""

    access: ClassVar = {"POST": "flatten"}

    @extend_schema(
        operation_id="flatten",
        parameters=[ACCOUNT, OPTIONAL_IDEMPOTENCY_HEADER, OTP_HEADER],
        request=HaltSerializer,
        responses={200: SwitchSerializer, **problems(400, 409, 415)},
    )
    @idempotent_if_keyed
    def post(self, request: Request) -> Response:
        return _switch(request, flatten=True)


class RearmView(APIView):
    """Trade again."""

    access: ClassVar = {"POST": "rearm"}

    @extend_schema(
        operation_id="rearm",
        parameters=[ACCOUNT, OPTIONAL_IDEMPOTENCY_HEADER, OTP_HEADER],
        request=RearmSerializer,
        responses={200: SwitchSerializer, **problems(400, 409, 415)},
    )
    @idempotent_if_keyed
    def post(self, request: Request) -> Response:
        account = asked_account(request)
        given = checked(RearmSerializer, request)
        change = rearm(
            account_id=account.pk,
            symbol=given["symbol"],
            to=State(given["to"]),
            reason=given["reason"],
            actor=caller(request),
            otp_used=True,
        )
        return _switched(account.pk, given["symbol"], change)


class DecisionFilter(django_filters.FilterSet):
    since = TimeFilter(field_name="decided_at", lookup_expr="gte")
    until = TimeFilter(field_name="decided_at", lookup_expr="lt")

    class Meta:
        model = RiskDecision
        fields: ClassVar = {"account": ["exact"], "symbol": ["exact"], "ruling": ["exact"]}


@extend_schema_view(
    list=extend_schema(
        operation_id="risk_decisions_list", responses={200: RiskDecisionSerializer(many=True), **problems(400, 404)}
    ),
    retrieve=extend_schema(
        operation_id="risk_decisions_read", responses={200: RiskDecisionSerializer, **problems(404)}
    ),
)
class RiskDecisionViewSet(ReadOnly):
    """Every allow and deny, check by check."""

    access: ClassVar = {"list": "risk.read", "retrieve": "risk.read"}
    serializer_class = RiskDecisionSerializer
    filterset_class = DecisionFilter

    def get_queryset(self) -> QuerySet[RiskDecision]:
        return decisions()


class StateChangeFilter(django_filters.FilterSet):
    class Meta:
        model = TradingStateChange
        fields: ClassVar = {"account": ["exact"], "symbol": ["exact"]}


@extend_schema_view(
    list=extend_schema(
        operation_id="state_changes_list", responses={200: StateChangeSerializer(many=True), **problems(400, 404)}
    ),
    retrieve=extend_schema(operation_id="state_changes_read", responses={200: StateChangeSerializer, **problems(404)}),
)
class StateChangeViewSet(ReadOnly):
    """History of the kill switch."""

    access: ClassVar = {"list": "risk.read", "retrieve": "risk.read"}
    serializer_class = StateChangeSerializer
    filterset_class = StateChangeFilter

    def get_queryset(self) -> QuerySet[TradingStateChange]:
        return state_changes()


def _limits(account_id: int) -> dict[str, Any]:
    version, limits = current_limits(account_id)
    return dict(LimitsSerializer({"account": account_id, "version": version, "limits": asdict(limits)}).data)


def _switch(request: Request, *, flatten: bool) -> Response:
    account = asked_account(request)
    given = checked(HaltSerializer, request)
    change = halt(
        account_id=account.pk,
        symbol=given["symbol"],
        source=StateSource.API,
        reason=given["reason"],
        actor=caller(request),
        flatten=flatten,
        otp_used=flatten,  # the permission table asks for a code there, and not for a HALT
    )
    return _switched(account.pk, given["symbol"], change)


def _switched(account_id: int, symbol: str | None, change: TradingStateChange | None) -> Response:
    state = effective_state(account_id, symbol)
    body = {"changed": change is not None, "state": state, "change": change}
    return Response(SwitchSerializer(body).data)
