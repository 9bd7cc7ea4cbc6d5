"""Any interleaving of stream, REST and files, single or in bulk, late or repeated, against a model of four lines."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from marketdata.models import Kline, KlineCorrection, KlineSource
from marketdata.selectors.bars import range_table
from marketdata.services.bar_store import bar_store
from marketdata.services.klines import klines_store
from tests.support.bars import T0, saw_table

pytestmark = pytest.mark.django_db
NOW_MS = T0 + 86_400_000
BARS = list(saw_table(4).klines())
REPORT = st.tuples(
    st.integers(0, 3),  # which bar
    st.integers(0, 2),  # which version of it
    st.sampled_from(list(KlineSource)),
    st.booleans(),  # alone or in bulk
)


def version(bar: int, number: int):
    return replace(BARS[bar], volume=BARS[bar].volume + number)


@hypothesis_settings(max_examples=60)
@given(reports=st.lists(REPORT, max_size=12))
def test_the_first_report_stands_until_rest_says_otherwise(reports):
    Kline.objects.all().delete()
    KlineCorrection.objects.all().delete()
    model: dict[int, int] = {}
    corrections = 0
    for bar, number, source, alone in reports:
        if alone:
            bar_store(bar=version(bar, number), features=None, now_ms=NOW_MS, source=source)
        else:
            klines_store([version(bar, number)], source=source, now_ms=NOW_MS)
        if bar not in model:
            model[bar] = number
        elif source is KlineSource.REST and model[bar] != number:
            model[bar] = number
            corrections += 1
    stored = range_table("BTCUSDT", 5, T0, NOW_MS)
    assert dict(zip(stored.start_ms.tolist(), stored.volume.tolist(), strict=True)) == {
        BARS[bar].start_ms: BARS[bar].volume + number for bar, number in model.items()
    }
    assert KlineCorrection.objects.count() == corrections
    for bar, number, source, _ in reports:
        if source is not KlineSource.REST:
            klines_store([version(bar, number)], source=source, now_ms=NOW_MS)
    again = range_table("BTCUSDT", 5, T0, NOW_MS)
    assert again.volume.tolist() == stored.volume.tolist()
