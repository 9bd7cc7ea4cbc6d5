"""Shapes of trading. Prices, quantities and money are decimals as strings; directions are 1 (long) and -1 (short)."""

from decimal import Decimal

from rest_framework import serializers

from avigrid.common.api_rows import RowSerializer
from trading.engine.wishes import Wish
from trading.models import (
    Decision,
    Fill,
    Order,
    Plan,
    Position,
    ReconciliationFinding,
    ReconciliationRun,
    Signal,
    SlippageRecord,
    StrategyVersion,
)


class DecisionSerializer(RowSerializer[Decision]):
    """`rules` holds every rule with value, threshold and outcome: why there was, or was not, a signal."""

    class Meta:
        model = Decision
        fields = (
            "id",
            "strategy",
            "symbol",
            "bar_start",
            "decided_at",
            "status",
            "direction",
            "score",
            "used_proxy",
            "rules",
            "indicators",
            "reason",
        )
        read_only_fields = fields


class SignalSerializer(RowSerializer[Signal]):
    class Meta:
        model = Signal
        fields = (
            "id",
            "decision",
            "symbol",
            "direction",
            "profile",
            "entry_price",
            "stop_price",
            "take_profits",
            "risk_usd",
            "score",
            "p_win",
            "status",
            "reason",
            "created_at",
            "valid_until",
            "queued_until",
        )
        read_only_fields = fields


class LevelsSerializer(serializers.Serializer[object]):
    """The plan the signal offers: rungs, stop, take-profits, sizes; as the strategy specified it."""

    signal = serializers.IntegerField()
    spec = serializers.DictField()


class PlaceSerializer(serializers.Serializer[object]):
    account = serializers.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, help_text="the oldest active trading account where not given"
    )


class PlacementSerializer(serializers.Serializer[object]):
    """Everything is checked again at this moment."""

    placed = serializers.BooleanField()
    code = serializers.CharField()
    sentence = serializers.CharField()
    plan_id = serializers.IntegerField(allow_null=True)
    decision_id = serializers.IntegerField(allow_null=True)
    refused = serializers.ListField(child=serializers.CharField())
    available_at = serializers.DateTimeField(allow_null=True)


class ReasonSerializer(serializers.Serializer[object]):
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class PlanSerializer(RowSerializer[Plan]):
    class Meta:
        model = Plan
        fields = (
            "id",
            "account",
            "signal",
            "origin",
            "symbol",
            "direction",
            "position_idx",
            "profile",
            "status",
            "close_reason",
            "stop_price",
            "stop_confirmed",
            "stop_confirmed_at",
            "break_even_at",
            "entries_cancelled",
            "r_usd",
            "realised_pnl_usd",
            "fees_usd",
            "funding_usd",
            "created_at",
            "opened_at",
            "closed_at",
        )
        read_only_fields = fields


class PositionSerializer(RowSerializer[Position]):
    """`size` is signed: long above 0, short below."""

    average_price = serializers.SerializerMethodField()

    class Meta:
        model = Position
        fields = (
            "id",
            "account",
            "symbol",
            "position_idx",
            "size",
            "average_price",
            "realised_pnl_usd",
            "fees_usd",
            "opened_at",
            "last_fill_at",
            "fill_count",
        )
        read_only_fields = fields

    def get_average_price(self, position: Position) -> str | None:
        if not position.size:
            return None
        average = abs(position.entry_value_usd / position.size)
        return format(average.quantize(Decimal("1e-12")).normalize(), "f")


class OrderSerializer(RowSerializer[Order]):
    class Meta:
        model = Order
        fields = (
            "id",
            "order_link_id",
            "plan",
            "account",
            "role",
            "rung",
            "cycle",
            "attempt",
            "symbol",
            "side",
            "order_type",
            "time_in_force",
            "quantity",
            "price",
            "reduce_only",
            "position_idx",
            "status",
            "filled_qty",
            "avg_price",
            "venue_status",
            "venue_order_id",
            "created_at",
            "submitted_at",
            "acknowledged_at",
            "closed_at",
            "reason",
            "venue_code",
        )
        read_only_fields = fields


class FillSerializer(RowSerializer[Fill]):
    class Meta:
        model = Fill
        fields = (
            "id",
            "exec_id",
            "account",
            "order",
            "plan",
            "symbol",
            "position_idx",
            "side",
            "kind",
            "price",
            "quantity",
            "fee_usd",
            "realised_pnl_usd",
            "is_maker",
            "executed_at",
            "booked_at",
            "source",
        )
        read_only_fields = fields


class SlippageSerializer(RowSerializer[SlippageRecord]):
    """Positive basis points cost us money."""

    class Meta:
        model = SlippageRecord
        fields = (
            "id",
            "fill",
            "plan",
            "symbol",
            "is_entry",
            "is_maker",
            "requested_price",
            "fill_price",
            "slippage_bps",
            "at",
        )
        read_only_fields = fields


class StrategySerializer(serializers.ModelSerializer[StrategyVersion]):
    config = serializers.DictField(read_only=True)

    class Meta:
        model = StrategyVersion
        fields = (
            "id",
            "name",
            "version",
            "config",
            "config_hash",
            "stage",
            "is_active",
            "note",
            "created_at",
            "activated_at",
        )
        read_only_fields = fields


class StrategyPatchSerializer(serializers.Serializer[object]):
    """`changes`: parameter -> new value; everything else stays as in the active version. `expected_version` guards
    against somebody else's change in between."""

    changes = serializers.DictField(allow_empty=False)
    note = serializers.CharField(max_length=500)
    expected_version = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)


class FindingSerializer(RowSerializer[ReconciliationFinding]):
    class Meta:
        model = ReconciliationFinding
        fields = (
            "id",
            "account",
            "run",
            "kind",
            "subject",
            "severity",
            "symbol",
            "sentence",
            "details",
            "action",
            "proof",
            "is_open",
            "detected_at",
            "repaired_at",
            "resolution",
        )
        read_only_fields = fields


class FindingDecisionSerializer(serializers.Serializer[object]):
    """What is not possible at once is carried out by the execution process within a second."""

    wish = serializers.ChoiceField(choices=[wish.value for wish in Wish])
    reason = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class RunSerializer(RowSerializer[ReconciliationRun]):
    class Meta:
        model = ReconciliationRun
        fields = ("id", "account", "scope", "status", "started_at", "finished_at", "counts", "error")
        read_only_fields = fields


class ReconciliationStatusSerializer(serializers.Serializer[object]):
    account = serializers.IntegerField()
    last_run = RunSerializer(allow_null=True)
    last_good_at = serializers.DateTimeField(allow_null=True)
    open_findings = FindingSerializer(many=True)


class AskedSerializer(serializers.Serializer[object]):
    """The execution process does it within a second; the result is a new run."""

    asked = serializers.BooleanField()
    last_run_id = serializers.IntegerField(allow_null=True)
