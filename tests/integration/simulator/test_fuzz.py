"""Some seconds of the fuzz; the long run is `python -m tests.support.fuzz_simulator --seconds 600`."""

from tests.support.fuzz_simulator import fuzz


def test_rubbish_never_breaks_the_exchange() -> None:
    seen = fuzz(4.0, seed=20)
    assert [name for name in seen if name.startswith("FAILED")] == []
    assert seen["http 200"] > 20
    assert seen["code 10001"] > 0
