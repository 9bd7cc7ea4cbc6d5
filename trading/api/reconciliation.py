"""reconciliation: state, findings, runs, and asking for one."""

from typing import ClassVar

import django_filters
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.caller import caller
from accounts.api.idempotent import idempotent
from accounts.api.lists import ReadOnly, asked_account
from accounts.api.schema import IDEMPOTENCY_HEADER, problems
from trading.api.serializers import (
    AskedSerializer,
    FindingDecisionSerializer,
    FindingSerializer,
    ReconciliationStatusSerializer,
    RunSerializer,
)
from trading.engine.wishes import Wish
from trading.models import ReconciliationFinding, ReconciliationRun
from trading.services.foreign import finding_decide
from trading.services.reconciliation_asking import reconciliation_ask

ACCOUNT = OpenApiParameter("account", int, description="trading account; the oldest active one where not given")


class StatusView(APIView):
    """Is what we believe what the exchange has?"""

    access: ClassVar = {"GET": "reconciliation.read"}

    @extend_schema(
        operation_id="reconciliation_status",
        parameters=[ACCOUNT],
        responses={200: ReconciliationStatusSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        account = asked_account(request)
        runs = ReconciliationRun.objects.filter(account=account.pk, finished_at__isnull=False).order_by("-pk")
        good = runs.filter(status="good").values_list("finished_at", flat=True).first()
        findings = ReconciliationFinding.objects.filter(account=account.pk, is_open=True).order_by("-pk")[:200]
        body = {
            "account": account.pk,
            "last_run": runs.first(),
            "last_good_at": good,
            "open_findings": findings,
        }
        return Response(ReconciliationStatusSerializer(body).data)


class RunView(APIView):
    """Ask the execution process to compare books and exchange now."""

    access: ClassVar = {"POST": "reconciliation.run"}

    @extend_schema(
        operation_id="reconciliation_run",
        parameters=[ACCOUNT],
        request=None,
        responses={202: AskedSerializer, **problems(400, 415)},
    )
    def post(self, request: Request) -> Response:
        account = asked_account(request)
        last = reconciliation_ask(account=account, actor=caller(request))
        return Response({"asked": True, "last_run_id": last}, status=status.HTTP_202_ACCEPTED)


class FindingFilter(django_filters.FilterSet):
    class Meta:
        model = ReconciliationFinding
        fields: ClassVar = {"account": ["exact"], "is_open": ["exact"], "severity": ["exact"], "symbol": ["exact"]}


@extend_schema_view(
    list=extend_schema(
        operation_id="findings_list", responses={200: FindingSerializer(many=True), **problems(400, 404)}
    ),
    retrieve=extend_schema(operation_id="findings_read", responses={200: FindingSerializer, **problems(404)}),
)
class FindingViewSet(ReadOnly):
    access: ClassVar = {
        "list": "reconciliation.read",
        "retrieve": "reconciliation.read",
        "decide": "reconciliation.run",
    }
    serializer_class = FindingSerializer
    filterset_class = FindingFilter

    def get_queryset(self) -> QuerySet[ReconciliationFinding]:
        return ReconciliationFinding.objects.order_by()

    @extend_schema(
        operation_id="findings_decide",
        description="A foreign position: adopt, flatten or ignore; an order: claim, cancel or ignore; a size "
        "that differs from the books: accept. 409 where the finding is settled or does not know that wish.",
        parameters=[IDEMPOTENCY_HEADER],
        request=FindingDecisionSerializer,
        responses={200: FindingSerializer, **problems(400, 404, 409, 415)},
    )
    @action(detail=True, methods=["post"], pagination_class=None, filterset_class=None)
    @idempotent
    def decide(self, request: Request, pk: int) -> Response:
        asked = FindingDecisionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        if not self.get_queryset().filter(pk=pk).exists():
            raise Http404
        finding = finding_decide(
            finding_id=pk,
            wish=Wish(asked.validated_data["wish"]),
            user=caller(request),
            reason=asked.validated_data["reason"],
        )
        return Response(FindingSerializer(finding).data)


class RunFilter(django_filters.FilterSet):
    class Meta:
        model = ReconciliationRun
        fields: ClassVar = {"account": ["exact"], "status": ["exact"], "scope": ["exact"]}


@extend_schema_view(
    list=extend_schema(
        operation_id="reconciliation_runs_list", responses={200: RunSerializer(many=True), **problems(400, 404)}
    ),
    retrieve=extend_schema(operation_id="reconciliation_runs_read", responses={200: RunSerializer, **problems(404)}),
)
class RunViewSet(ReadOnly):
    access: ClassVar = {"list": "reconciliation.read", "retrieve": "reconciliation.read"}
    serializer_class = RunSerializer
    filterset_class = RunFilter

    def get_queryset(self) -> QuerySet[ReconciliationRun]:
        return ReconciliationRun.objects.order_by()
