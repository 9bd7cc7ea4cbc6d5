"""reconciliation: state, findings, runs, and asking for one."""

from typing import ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.caller import caller
from accounts.api.lists import ReadOnly, asked_account
from accounts.api.schema import problems
from trading.api.serializers import (
    AskedSerializer,
    FindingSerializer,
    ReconciliationStatusSerializer,
    RunSerializer,
)
from trading.models import ReconciliationFinding, ReconciliationRun
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
    access: ClassVar = {"list": "reconciliation.read", "retrieve": "reconciliation.read"}
    serializer_class = FindingSerializer
    filterset_class = FindingFilter

    def get_queryset(self) -> QuerySet[ReconciliationFinding]:
        return ReconciliationFinding.objects.order_by()


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
