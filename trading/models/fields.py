"""The two column shapes every table here uses. Nothing else lives in this file."""

from typing import Any

from django.db import models


def amount(**options: Any) -> models.DecimalField:
    """Money, price or quantity: 20 digits before the point, 18 after, exact."""
    return models.DecimalField(max_digits=38, decimal_places=18, **options)


def optional_amount(**options: Any) -> models.DecimalField:
    return amount(null=True, blank=True, **options)
