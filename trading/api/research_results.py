"""Shapes of what research found: two runs compared, theta(h), the report page. Ratios are null where undefined."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from trading.models import ResearchRun


@extend_schema_field({"type": ["number", "string", "null"]})
class ValueField(serializers.Field):
    """A number, a text or nothing, as it was stored."""

    def to_representation(self, value: object) -> object:
        return value


class ComparisonRowSerializer(serializers.Serializer[object]):
    """`change` is b - a, null where one of them is no number."""

    name = serializers.CharField()
    a = ValueField(allow_null=True)
    b = ValueField(allow_null=True)
    change = serializers.FloatField(allow_null=True)


class ComparisonSerializer(serializers.Serializer[object]):
    """`params` and `config` hold only what differs; `same_data` false: measured over other bars; `proxied`: those of
    the two whose imbalance was estimated from bars."""

    a = serializers.IntegerField(source="a.pk")
    b = serializers.IntegerField(source="b.pk")
    same_data = serializers.BooleanField()
    proxied = serializers.ListField(child=serializers.IntegerField())
    params = ComparisonRowSerializer(many=True)
    config = ComparisonRowSerializer(many=True)
    measures = ComparisonRowSerializer(many=True)


class HeatFoldSerializer(serializers.Serializer[object]):
    train_from = serializers.DateTimeField()
    train_to = serializers.DateTimeField()
    test_to = serializers.DateTimeField()
    psi = serializers.FloatField()


class HeatCellSerializer(serializers.Serializer[object]):
    """`theta` null: too few trades in training. `heat` is 0 to 1 between the lowest and the highest theta chosen."""

    theta = serializers.FloatField(allow_null=True)
    heat = serializers.FloatField(allow_null=True)
    train_pf = serializers.FloatField(allow_null=True)
    train_trades = serializers.IntegerField()
    test_trades = serializers.IntegerField()


class HeatHourSerializer(serializers.Serializer[object]):
    hour = serializers.IntegerField(min_value=0, max_value=23)
    theta = serializers.FloatField()
    is_accepted = serializers.BooleanField()
    is_dead = serializers.BooleanField()
    pf_in = serializers.FloatField(allow_null=True)
    pf_out = serializers.FloatField(allow_null=True)
    trades_in = serializers.IntegerField()
    trades_out = serializers.IntegerField()
    why = serializers.CharField()
    cells = HeatCellSerializer(many=True)


class HeatMapSerializer(serializers.Serializer[object]):
    run = serializers.IntegerField(source="run_id")
    recent_psi = serializers.FloatField()
    used_proxy = serializers.BooleanField(help_text="true: imbalance was estimated from bars, no book was recorded")
    r_usd = serializers.CharField()
    is_of_files = serializers.BooleanField(help_text="true: made over files; its hours cannot be activated")
    folds = HeatFoldSerializer(many=True)
    hours = HeatHourSerializer(many=True)


class ReportSerializer(serializers.ModelSerializer[ResearchRun]):
    html = serializers.CharField(source="report_html", read_only=True)

    class Meta:
        model = ResearchRun
        fields = ("id", "html")
        read_only_fields = fields


class ActivateSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)
