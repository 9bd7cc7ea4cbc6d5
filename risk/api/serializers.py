"""Shapes of risk. Money and ratios are decimals as strings."""

from dataclasses import fields
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from avigrid.common.api_rows import RowSerializer
from risk.core.limits import RiskLimits
from risk.core.states import State
from risk.models import RiskDecision, RiskLimitsVersion, TradingStateChange

LIMIT_NAMES = tuple(field.name for field in fields(RiskLimits))
STATES = [state.value for state in State]
SYMBOL = r"^[A-Z0-9]{1,32}$"


def _field(name: str, **options: Any) -> serializers.Field[Any, Any, Any, Any]:
    default = getattr(RiskLimits(), name)
    if isinstance(default, bool):
        return serializers.BooleanField(**options)
    if isinstance(default, int):
        return serializers.IntegerField(min_value=0, max_value=2**31 - 1, **options)
    assert isinstance(default, Decimal)
    column = RiskLimitsVersion._meta.get_field(name)
    return serializers.DecimalField(
        max_digits=column.max_digits,  # type: ignore[union-attr]
        decimal_places=column.decimal_places,  # type: ignore[union-attr]
        min_value=Decimal(0),
        **options,
    )


class LimitValuesSerializer(serializers.Serializer[object]):
    def get_fields(self) -> dict[str, Any]:
        return {name: _field(name) for name in LIMIT_NAMES}


class LimitsSerializer(serializers.Serializer[object]):
    """Version 0 is the defaults."""

    account = serializers.IntegerField()
    version = serializers.IntegerField()
    limits = LimitValuesSerializer()


class LimitsPatchSerializer(serializers.Serializer[object]):
    """Only the limits given change; `expected_version` guards against somebody else's change in between."""

    reason = serializers.CharField(max_length=500)
    expected_version = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **{name: _field(name, required=False) for name in LIMIT_NAMES}}


class StateRowSerializer(serializers.Serializer[object]):
    symbol = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(choices=STATES)
    source = serializers.CharField()  # type: ignore[assignment]
    reason = serializers.CharField()
    changed_at = serializers.DateTimeField()


class LockSerializer(serializers.Serializer[object]):
    kind = serializers.CharField()
    symbol = serializers.CharField(allow_blank=True)
    direction = serializers.IntegerField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    sentence = serializers.CharField()


class RiskStateSerializer(serializers.Serializer[object]):
    account = serializers.IntegerField()
    state = serializers.ChoiceField(choices=STATES)
    states = StateRowSerializer(many=True)
    locks = LockSerializer(many=True)


class HaltSerializer(serializers.Serializer[object]):
    reason = serializers.CharField(max_length=500)
    symbol = serializers.RegexField(SYMBOL, required=False, allow_null=True, default=None)


class RearmSerializer(HaltSerializer):
    to = serializers.ChoiceField(choices=[State.ACTIVE.value, State.REDUCING.value], default=State.ACTIVE.value)


class StateChangeSerializer(RowSerializer[TradingStateChange]):
    class Meta:
        model = TradingStateChange
        fields = ("id", "account", "symbol", "before", "after", "source", "reason", "flatten", "otp_used", "at")
        read_only_fields = fields


class SwitchSerializer(serializers.Serializer[object]):
    """`changed` is false where it stood so already."""

    changed = serializers.BooleanField()
    state = serializers.ChoiceField(choices=STATES)
    change = StateChangeSerializer(allow_null=True)


class RiskDecisionSerializer(RowSerializer[RiskDecision]):
    class Meta:
        model = RiskDecision
        fields = (
            "id",
            "account",
            "kind",
            "symbol",
            "direction",
            "reference",
            "ruling",
            "refused",
            "sentence",
            "available_at",
            "checks",
            "limits_version",
            "decided_at",
            "took_ms",
        )
        read_only_fields = fields
