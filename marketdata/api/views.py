"""instruments, klines, book-features: read only."""

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view

from accounts.api.filters import TimeFilter
from accounts.api.lists import ListOnly
from accounts.api.schema import problems
from avigrid.common.api_pages import NewestFirst
from marketdata.api.serializers import BookFeatureSerializer, InstrumentSerializer, KlineSerializer
from marketdata.models import BookFeature, Instrument, Kline

INTERVALS = (1, 3, 5, 15, 30, 60, 120, 240, 360, 720, 1440)
_CHOICES = [(minutes, f"{minutes} min") for minutes in INTERVALS]


class BySymbol(NewestFirst):
    ordering = "symbol"


class ByStart(NewestFirst):
    ordering = "-start"
    max_page_size = 1000


class ByBar(NewestFirst):
    ordering = "-bar_start"
    max_page_size = 1000


class InstrumentFilter(django_filters.FilterSet):
    class Meta:
        model = Instrument
        fields: ClassVar = {"symbol": ["exact"], "in_whitelist": ["exact"]}


class _BarFilter(django_filters.FilterSet):
    """Symbol and interval are required: a list over all of them would have no order."""

    symbol = django_filters.CharFilter(required=True, max_length=32)
    interval_min = django_filters.TypedChoiceFilter(choices=_CHOICES, coerce=int, required=True)


class KlineFilter(_BarFilter):
    since = TimeFilter(field_name="start", lookup_expr="gte")
    until = TimeFilter(field_name="start", lookup_expr="lt")

    class Meta:
        model = Kline
        fields: ClassVar[list[str]] = []


class BookFeatureFilter(_BarFilter):
    since = TimeFilter(field_name="bar_start", lookup_expr="gte")
    until = TimeFilter(field_name="bar_start", lookup_expr="lt")

    class Meta:
        model = BookFeature
        fields: ClassVar[list[str]] = []


@extend_schema_view(
    list=extend_schema(
        operation_id="instruments_list", responses={200: InstrumentSerializer(many=True), **problems(400, 404)}
    )
)
class InstrumentViewSet(ListOnly):
    access: ClassVar = {"list": "market.read"}
    serializer_class = InstrumentSerializer
    pagination_class = BySymbol
    filterset_class = InstrumentFilter

    def get_queryset(self) -> QuerySet[Instrument]:
        return Instrument.objects.all()


@extend_schema_view(
    list=extend_schema(operation_id="klines_list", responses={200: KlineSerializer(many=True), **problems(400, 404)})
)
class KlineViewSet(ListOnly):
    """Closed bars, newest first."""

    access: ClassVar = {"list": "market.read"}
    serializer_class = KlineSerializer
    pagination_class = ByStart
    filterset_class = KlineFilter

    def get_queryset(self) -> QuerySet[Kline, dict[str, Any]]:
        return Kline.objects.values(*KlineSerializer.Meta.fields)


@extend_schema_view(
    list=extend_schema(
        operation_id="book_features_list", responses={200: BookFeatureSerializer(many=True), **problems(400, 404)}
    )
)
class BookFeatureViewSet(ListOnly):
    """The order book in numbers, as sampled when each bar closed."""

    access: ClassVar = {"list": "market.read"}
    serializer_class = BookFeatureSerializer
    pagination_class = ByBar
    filterset_class = BookFeatureFilter

    def get_queryset(self) -> QuerySet[Any]:
        return BookFeature.objects.all()
