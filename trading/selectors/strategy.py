"""Which parameters decide now."""

from avigrid.common.reading import read_once
from trading.avi5.config import STRATEGY, StrategyConfig
from trading.models import StrategyVersion


@read_once
def active_version() -> StrategyVersion | None:
    return StrategyVersion.objects.filter(name=STRATEGY, is_active=True).first()


def config_of(version: StrategyVersion) -> StrategyConfig:
    """Raises InvalidConfig where a stored config no longer fits the code."""
    return StrategyConfig.from_stored(version.config)
