"""Shapes of market data. What a source did not tell is null, never NaN."""

import math
from typing import Any

from rest_framework import serializers

from marketdata.models import BookFeature, Instrument, Kline

_VALUES = ("open", "high", "low", "close", "volume", "turnover")


class InstrumentSerializer(serializers.ModelSerializer[Instrument]):
    class Meta:
        model = Instrument
        fields = (
            "symbol",
            "base_coin",
            "quote_coin",
            "tick_size",
            "qty_step",
            "min_order_qty",
            "max_limit_qty",
            "max_market_qty",
            "min_notional",
            "max_leverage",
            "funding_interval_min",
            "status",
            "in_whitelist",
            "updated_at",
        )
        read_only_fields = fields


class KlineSerializer(serializers.ModelSerializer[Kline]):
    turnover = serializers.FloatField(allow_null=True, read_only=True)

    class Meta:
        model = Kline
        fields = ("symbol", "interval_min", "start", *_VALUES, "source")
        read_only_fields = fields

    def to_representation(self, kline: Any) -> dict[str, Any]:
        """A row of values, by hand: a page of bars is the API's largest answer."""
        turnover = kline["turnover"]
        return {
            **kline,
            "start": kline["start"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "turnover": None if math.isnan(turnover) else turnover,
        }


class FiniteOrNull(serializers.FloatField):
    def to_representation(self, value: float) -> float | None:  # type: ignore[override]
        return value if math.isfinite(value) else None


class BookFeatureSerializer(serializers.ModelSerializer[BookFeature]):
    mid = FiniteOrNull(read_only=True, allow_null=True)
    imbalance = FiniteOrNull(read_only=True, allow_null=True)
    microprice = FiniteOrNull(read_only=True, allow_null=True)
    spread_bps = FiniteOrNull(read_only=True, allow_null=True)
    depth_usd = FiniteOrNull(read_only=True, allow_null=True)

    class Meta:
        model = BookFeature
        fields = (
            "symbol",
            "interval_min",
            "bar_start",
            "time",
            "mid",
            "imbalance",
            "microprice",
            "spread_bps",
            "depth_usd",
        )
        read_only_fields = fields
