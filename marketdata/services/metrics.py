"""Everything market data counts, for Prometheus, in one place."""

from prometheus_client import Counter, Gauge, Histogram

_FAST_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

INVALID_CANDLES = Counter("avigrid_invalid_candles_total", "Bars refused at the door", ["source", "reason"])
BARS_STORED = Counter("avigrid_bars_stored_total", "Bars by what storing them did", ["interval", "source", "outcome"])
STORE_SECONDS = Histogram("avigrid_bar_store_seconds", "One bar with its features, commit included", buckets=_FAST_S)

EVENTS = Counter("avigrid_market_events_total", "Public stream events", ["kind"])
STREAM_STATES = Counter("avigrid_market_stream_states_total", "What the connections said", ["state"])
BOOK_FAULTS = Counter(
    "avigrid_book_faults_total", "Order books that were no longer to be trusted", ["symbol", "reason"]
)
BAR_SECONDS = Histogram(
    "avigrid_bar_to_decision_seconds", "From a confirmed bar's arrival to the end of its decision", buckets=_FAST_S
)
CALLBACK_FAILURES = Counter("avigrid_bar_callback_failures_total", "Decisions that raised", ["symbol"])
QUEUE_LENGTH = Gauge("avigrid_symbol_queue_length", "Jobs waiting", ["symbol"])
QUEUE_FULL = Counter("avigrid_symbol_queue_full_total", "A full queue held the stream back", ["symbol"])
QUEUE_WAIT_SECONDS = Histogram("avigrid_symbol_queue_wait_seconds", "How long it held it back", buckets=_FAST_S)
TAPE_DROPPED = Counter("avigrid_tape_dropped_total", "Trades or book messages not stored: writer too slow", ["what"])
BARS_DELAYED = Counter("avigrid_bars_delayed_total", "Confirmed bars the database was slow to take", ["symbol"])
STORE_RETRIES = Counter("avigrid_bar_store_retries_total", "The database did not take a bar at once", ["symbol"])
CATCH_UPS = Counter("avigrid_catch_ups_total", "Times a symbol was caught up over REST", ["reason"])
CATCH_UP_BARS = Counter("avigrid_catch_up_bars_total", "Bars that the stream missed", ["interval"])
OPEN_GAPS = Gauge("avigrid_open_gaps", "Holes not filled yet", ["symbol"])
SYMBOLS_HELD = Gauge("avigrid_symbols_held", "Symbols this process streams")
ROLLUPS_COMPARED = Counter(
    "avigrid_rollups_compared_total", "Rolled-up bars held against the venue's own", ["interval"]
)
ROLLUP_DIFFERENCES = Counter("avigrid_rollup_differences_total", "Fields in which they differ", ["interval"])
