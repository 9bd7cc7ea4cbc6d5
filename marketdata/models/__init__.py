"""Tables of the market's past: written by marketdata's services only, read by others through its selectors."""

from marketdata.models.backfill_run import BackfillProgress, BackfillRun
from marketdata.models.book_feature import BookFeature
from marketdata.models.data_gap import DataGap
from marketdata.models.funding_rate import FundingRate
from marketdata.models.instrument import Instrument
from marketdata.models.kline import Kline, KlineSource
from marketdata.models.kline_correction import KlineCorrection
from marketdata.models.order_book_log import OrderBookLog
from marketdata.models.public_trade import PublicTrade

__all__ = [
    "BackfillProgress",
    "BackfillRun",
    "BookFeature",
    "DataGap",
    "FundingRate",
    "Instrument",
    "Kline",
    "KlineCorrection",
    "KlineSource",
    "OrderBookLog",
    "PublicTrade",
]
