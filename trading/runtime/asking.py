"""Questions to the venue, asked again while they fail for reasons that pass."""

import time
from collections.abc import Callable

from avigrid.kernel.errors import Retryable

PAUSES_S = (0.1, 0.3, 0.9)


def patiently[Answer](question: Callable[[], Answer], *, sleep: Callable[[float], None] = time.sleep) -> Answer:
    """For reads only. The last Retryable passes through; other errors do at once."""
    for pause_s in PAUSES_S:
        try:
            return question()
        except Retryable:
            sleep(pause_s)
    return question()
