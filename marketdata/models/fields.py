"""Column types that every market-data table shares."""

from decimal import Decimal
from typing import Any

from django.db import models
from timescale.db.models.fields import TimescaleDateTimeField


def symbol_field(**options: Any) -> models.CharField:
    """Byte order ("C"): symbols are ASCII, and the index compares them about twice as fast."""
    return models.CharField(max_length=32, db_collation="C", **options)


def chunked_time_field(interval: str) -> models.DateTimeField:
    """The time column a hypertable is cut by; a plain timestamptz on PostgreSQL without TimescaleDB."""
    return TimescaleDateTimeField(interval=interval)


def exact_field(**options: Any) -> models.DecimalField:
    """A price, quantity or ratio exactly as the venue printed it."""
    return models.DecimalField(max_digits=38, decimal_places=18, default=Decimal(0), **options)
