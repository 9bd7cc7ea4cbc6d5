"""A grid of configs over the same bars, in shards that any worker can run; every row tells how its neighbours fared."""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import Instrument
from trading.avi5.config import ConfigValue, InvalidConfig, StrategyConfig
from trading.avi5.limits import COUPLED, LIMITS
from trading.backtest.compiled import arrays_for, sweep_compiled
from trading.backtest.compiled_scan import SUMMARY_FIELDS
from trading.backtest.data import MarketData
from trading.backtest.result import BacktestSettings
from trading.backtest.series import first_bar, indicator_series, lacks_books

MAX_CONFIGS = 200_000
MAX_VALUES = 2_000
"""Of one field; each is looked at while somebody waits for the answer."""
# numbers that change what is known per bar; all others share one set of arrays
_ARRAY_FIELDS = (
    *("vwap_bars", "atr_bars", "donchian_bars", "atr_percentile_bars", "proxy_bars", "trend_fast_bars"),
    *("trend_slow_bars", "warmup_5m_bars", "warmup_15m_bars", "max_feature_age_ms", "volatile_percentile"),
    *("slippage_bps", "slippage_volatile_bps", "slippage_thin_bps", "thin_depth_usd"),
)


_DEPTH_FIELDS = ("warmup_5m_bars", "warmup_15m_bars", "trend_slow_bars", "atr_bars", "atr_percentile_bars")


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """`axes`: field -> the values it takes, in order; neighbours are one step apart on one axis."""

    base: StrategyConfig
    axes: Mapping[str, tuple[ConfigValue, ...]]

    def __post_init__(self) -> None:
        if not self.axes:
            raise InvalidConfig("a sweep needs at least one field with values", field="axes")
        for name, values in self.axes.items():
            if not values:
                raise InvalidConfig(f"{name} has no values to sweep over", field=name)
            if len(values) > MAX_VALUES:
                raise InvalidConfig(
                    f"{name} has {len(values)} values to sweep over, the limit is {MAX_VALUES}", field=name
                )
        if self.size > MAX_CONFIGS:
            raise Rejected(f"the grid has {self.size} configs, the limit is {MAX_CONFIGS}", code="grid_too_large")
        for name, values in self.axes.items():
            for value in values:
                self._check_value(name, value)

    def _check_value(self, name: str, value: ConfigValue) -> None:
        """A value that no combination of the grid makes legal is a mistake; one that some do is left out where not.

        What it may be depends on its partners only, and most freely on their least and greatest values.
        """
        try:
            self.base.replaced({name: value})
        except InvalidConfig as error:
            partners = {axis: self._extremes(axis) for axis in COUPLED.get(name, ()) if axis in self.axes}
            for picked in itertools.product(*partners.values()):
                with contextlib.suppress(InvalidConfig):
                    self.base.replaced({**dict(zip(partners, picked, strict=True)), name: value})
                    return
            raise error from None

    def _extremes(self, axis: str) -> set[float]:
        """Of the values that are possible at all."""
        low, high = LIMITS[axis]
        own: list[float] = [getattr(self.base, axis)]
        numbers = [v for v in self.axes[axis] if isinstance(v, int | float) and not isinstance(v, bool)]
        possible = [v for v in numbers if low <= v <= high]
        return {min(possible, default=own[0]), max(possible, default=own[0])}

    @property
    def size(self) -> int:
        count = 1
        for values in self.axes.values():
            count *= len(values)
        return count

    @property
    def spec_hash(self) -> str:
        """The order of axes counts: it is what a row's index means."""
        text = json.dumps([self.base.to_mapping(), list(self.axes.items())], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def deepest(self) -> StrategyConfig:
        """A config that needs as much history as the most demanding combination."""
        swept = [name for name in _DEPTH_FIELDS if name in self.axes]
        values = {name: [getattr(self.base, name), *self.axes[name]] for name in swept}
        return self.base.replaced({name: max(int(value) for value in values[name]) for name in swept})

    def changes(self, index: int) -> dict[str, ConfigValue]:
        """The last axis varies fastest."""
        picked: dict[str, ConfigValue] = {}
        for name in reversed(list(self.axes)):
            index, at = divmod(index, len(self.axes[name]))
            picked[name] = self.axes[name][at]
        return dict(reversed(picked.items()))

    def config(self, index: int) -> StrategyConfig:
        """Raises InvalidConfig for a combination that is not legal."""
        return self.base.replaced(self.changes(index))

    def neighbours(self, index: int) -> list[int]:
        found = []
        stride = 1
        for name in reversed(list(self.axes)):
            length = len(self.axes[name])
            at = index // stride % length
            found += [index - stride] if at > 0 else []
            found += [index + stride] if at < length - 1 else []
            stride *= length
        return sorted(found)


@dataclass(frozen=True, slots=True)
class SweepRow:
    """Results summed over the symbols. `closed_drawdown_r` looks at closed plans only (worst single symbol).

    `used_proxy`: of some bar no book was recorded, its imbalance is the bar proxy.
    """

    index: int
    changes: dict[str, ConfigValue]
    config_hash: str
    plans: int
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy_r: float | None
    sum_r: float
    fees_r: float
    closed_drawdown_r: float
    used_proxy: bool = False

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RankedRow:
    """`neighbours_median_r` far below the row's own expectancy: a lucky spike, not a plateau."""

    row: SweepRow
    neighbours: int
    neighbours_median_r: float | None
    neighbours_worst_r: float | None


def shard_indices(spec: SweepSpec, shard: int, shards: int) -> range:
    """Contiguous, so that a shard shares its arrays."""
    if not 0 <= shard < shards:
        raise Rejected(f"shard must be 0 to {shards - 1}, got {shard}", code="bad_shard")
    return range(spec.size * shard // shards, spec.size * (shard + 1) // shards)


def sweep_run(
    spec: SweepSpec,
    loaded: Sequence[tuple[MarketData, Instrument]],
    *,
    shard: int = 0,
    shards: int = 1,
    settings: BacktestSettings | None = None,
    workers: int = 1,
    from_ms: int | None = None,
    look_up: Callable[[], None] = lambda: None,
) -> list[SweepRow]:
    """The rows of one shard, computed by `workers` threads; illegal combinations are left out.

    As in a backtest, decisions are taken on bars that close after `from_ms`. `look_up` is called now and then while it
    lasts and may end it by raising. Raises MissingWarmUp where no bar is warm.
    """
    settings = settings or BacktestSettings()
    configs: list[tuple[int, StrategyConfig]] = []
    for index in shard_indices(spec, shard, shards):
        try:
            configs.append((index, spec.config(index)))
        except InvalidConfig:
            continue
    totals: dict[int, list[float]] = {index: [0.0] * len(SUMMARY_FIELDS) for index, _ in configs}
    by_proxy: set[int] = set()
    for _, group in itertools.groupby(sorted(configs, key=_array_key), key=_array_key):
        members = list(group)
        for data, instrument in loaded:
            look_up()
            shared = members[0][1]
            series = indicator_series(data, shared)
            first = first_bar(data, series, shared, from_ms)
            if lacks_books(data, series, first):
                by_proxy |= {index for index, _ in members}
            summary = sweep_compiled(
                arrays_for(data, shared, instrument, series=series),
                [config for _, config in members],
                instrument=instrument,
                settings=settings,
                workers=workers,
                first_bar=first,
            )
            for (index, _), row in zip(members, summary.tolist(), strict=True):
                total = totals[index]
                for field, value in enumerate(row[:-1]):
                    total[field] += value
                total[-1] = max(total[-1], row[-1])
    return [
        _row(spec, index, config, totals[index], settings, used_proxy=index in by_proxy) for index, config in configs
    ]


def ranked(spec: SweepSpec, rows: Sequence[SweepRow], *, least_trades: int = 30) -> list[RankedRow]:
    """Best first, by the worse of a row's own expectancy and its neighbours' median; rows with few trades last."""
    by_index = {row.index: row for row in rows}
    result = []
    for row in rows:
        near = [by_index[n].expectancy_r for n in spec.neighbours(row.index) if n in by_index]
        values = [value for value in near if value is not None]
        result.append(RankedRow(row, len(values), median(values) if values else None, min(values) if values else None))

    def worth(item: RankedRow) -> tuple[bool, float, int]:
        own = item.row.expectancy_r
        if own is None:
            return True, float("inf"), item.row.index
        around = own if item.neighbours_median_r is None else item.neighbours_median_r
        return item.row.trades < least_trades, -min(own, around), item.row.index

    return sorted(result, key=worth)


def _array_key(item: tuple[int, StrategyConfig]) -> str:
    return repr([getattr(item[1], name) for name in _ARRAY_FIELDS])


def _row(
    spec: SweepSpec,
    index: int,
    config: StrategyConfig,
    total: Sequence[float],
    settings: BacktestSettings,
    *,
    used_proxy: bool,
) -> SweepRow:
    named = dict(zip(SUMMARY_FIELDS, total, strict=True))
    trades = int(named["trades"])
    r_usd = float(settings.r_usd)
    net = named["gross_usd"] - named["fees_usd"] - named["funding_usd"]
    return SweepRow(
        index=index,
        changes=spec.changes(index),
        config_hash=config.config_hash,
        plans=int(named["plans"]),
        trades=trades,
        win_rate=named["wins"] / trades if trades else None,
        profit_factor=named["won_usd"] / named["lost_usd"] if named["lost_usd"] > 0 else None,
        expectancy_r=net / r_usd / trades if trades else None,
        sum_r=net / r_usd,
        fees_r=named["fees_usd"] / r_usd,
        closed_drawdown_r=named["closed_drawdown_usd"] / r_usd,
        used_proxy=used_proxy,
    )
