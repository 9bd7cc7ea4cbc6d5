"""config: the strategy's parameters. A change is a new version; the old one stays readable."""

from typing import ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.caller import caller
from accounts.api.lists import ReadOnly, checked
from accounts.api.schema import problems
from trading.api.serializers import StrategyPatchSerializer, StrategySerializer
from trading.models import StrategyVersion
from trading.services.strategy_versions import strategy_change


class ConfigView(APIView):
    """The active version."""

    access: ClassVar = {"GET": "config.read", "PATCH": "config.change"}

    @extend_schema(operation_id="config_read", responses={200: StrategySerializer, **problems(404)})
    def get(self, request: Request) -> Response:
        return Response(StrategySerializer(_active()).data)

    @extend_schema(
        operation_id="config_change",
        request=StrategyPatchSerializer,
        responses={200: StrategySerializer, **problems(400, 404, 409, 415)},
    )
    def patch(self, request: Request) -> Response:
        """Running processes take the new version with their next bar. 400 names a value out of range; 409 says that
        another version decides by now than the one expected."""
        given = checked(StrategyPatchSerializer, request)
        version = strategy_change(
            changes=given["changes"],
            note=given["note"],
            expected_version=given.get("expected_version"),
            actor=caller(request),
            now=timezone.now(),
        )
        if version is None:
            raise Http404
        return Response(StrategySerializer(version).data)


@extend_schema_view(
    list=extend_schema(
        operation_id="config_versions_list", responses={200: StrategySerializer(many=True), **problems(400, 404)}
    ),
    retrieve=extend_schema(operation_id="config_versions_read", responses={200: StrategySerializer, **problems(404)}),
)
class StrategyViewSet(ReadOnly):
    access: ClassVar = {"list": "config.read", "retrieve": "config.read"}
    serializer_class = StrategySerializer

    def get_queryset(self) -> QuerySet[StrategyVersion]:
        return StrategyVersion.objects.order_by()


def _active() -> StrategyVersion:
    version = StrategyVersion.objects.filter(is_active=True).first()
    if version is None:
        raise Http404
    return version
