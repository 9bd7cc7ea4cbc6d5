"""orders, fills, slippage: read only."""

from typing import ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view

from accounts.api.filters import TimeFilter
from accounts.api.lists import ListOnly, ReadOnly
from accounts.api.schema import problems
from trading.api.serializers import FillSerializer, OrderSerializer, SlippageSerializer
from trading.models import Fill, Order, SlippageRecord


class OrderFilter(django_filters.FilterSet):
    since = TimeFilter(field_name="created_at", lookup_expr="gte")
    until = TimeFilter(field_name="created_at", lookup_expr="lt")
    plan = django_filters.NumberFilter(field_name="plan_id", decimal_places=0)

    class Meta:
        model = Order
        fields: ClassVar = {
            "account": ["exact"],
            "symbol": ["exact"],
            "status": ["exact"],
            "role": ["exact"],
            "order_link_id": ["exact"],
        }


@extend_schema_view(
    list=extend_schema(operation_id="orders_list", responses={200: OrderSerializer(many=True), **problems(400, 404)}),
    retrieve=extend_schema(operation_id="orders_read", responses={200: OrderSerializer, **problems(404)}),
)
class OrderViewSet(ReadOnly):
    access: ClassVar = {"list": "desk.read", "retrieve": "desk.read"}
    serializer_class = OrderSerializer
    filterset_class = OrderFilter

    def get_queryset(self) -> QuerySet[Order]:
        return Order.objects.order_by()


class FillFilter(django_filters.FilterSet):
    since = TimeFilter(field_name="executed_at", lookup_expr="gte")
    until = TimeFilter(field_name="executed_at", lookup_expr="lt")
    plan = django_filters.NumberFilter(field_name="plan_id", decimal_places=0)
    order = django_filters.NumberFilter(field_name="order_id", decimal_places=0)

    class Meta:
        model = Fill
        fields: ClassVar = {"account": ["exact"], "symbol": ["exact"], "kind": ["exact"]}


@extend_schema_view(
    list=extend_schema(operation_id="fills_list", responses={200: FillSerializer(many=True), **problems(400, 404)}),
    retrieve=extend_schema(operation_id="fills_read", responses={200: FillSerializer, **problems(404)}),
)
class FillViewSet(ReadOnly):
    access: ClassVar = {"list": "desk.read", "retrieve": "desk.read"}
    serializer_class = FillSerializer
    filterset_class = FillFilter

    def get_queryset(self) -> QuerySet[Fill]:
        return Fill.objects.order_by()


class SlippageFilter(django_filters.FilterSet):
    plan = django_filters.NumberFilter(field_name="plan_id", decimal_places=0)

    class Meta:
        model = SlippageRecord
        fields: ClassVar[list[str]] = []


@extend_schema_view(
    list=extend_schema(
        operation_id="slippage_list", responses={200: SlippageSerializer(many=True), **problems(400, 404)}
    )
)
class SlippageViewSet(ListOnly):
    """Every fill against the price it was asked for."""

    access: ClassVar = {"list": "desk.read"}
    serializer_class = SlippageSerializer
    filterset_class = SlippageFilter

    def get_queryset(self) -> QuerySet[SlippageRecord]:
        return SlippageRecord.objects.order_by()
