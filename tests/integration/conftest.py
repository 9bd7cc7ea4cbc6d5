"""Shared by tests that need a desk's rows but no running process."""

import pytest
from django.core.cache import cache

from tests.support.api_world import ApiWorld


@pytest.fixture
def world() -> ApiWorld:
    """An account with three symbols, prices and a strategy; nothing is cached from the test before."""
    cache.clear()
    return ApiWorld()
