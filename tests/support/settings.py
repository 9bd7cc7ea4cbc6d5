"""AVIGRID's own settings with some of them changed, for override_settings."""

from typing import Any

from django.conf import settings


def avigrid_settings(**changed: Any) -> dict[str, Any]:
    return {**settings.AVIGRID, **changed}
