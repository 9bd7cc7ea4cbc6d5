"""Trading's background jobs. None of them is on the order path; each may run twice or late.

Jobs named research_* go to the queue `research`, which production may serve on machines of its own, or not at all.
"""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from accounts.selectors.trading_accounts import trading_accounts
from avigrid.common.archive import archive_folder
from trading.selectors.exchange_time import exchange_time
from trading.services.decisions import signals_expire
from trading.services.measures import measures_update
from trading.services.notifications import notifications_deliver
from trading.services.performance import performance_roll_up
from trading.services.research import research_tend
from trading.services.research_work import backtest_work, calibration_work, sweep_missing, sweep_part_work
from trading.services.retention import trading_retention_apply
from trading.services.times import from_ms
from trading.services.validation import validation_update
from trading.services.watching import silence_watch


@shared_task(name="trading.notifications_deliver", ignore_result=True)
def deliver_notifications() -> int:
    return notifications_deliver(now=timezone.now())


@shared_task(name="trading.silence_watch", ignore_result=True)
def watch_silence() -> int:
    return silence_watch(now=timezone.now())


@shared_task(name="trading.signals_expire", ignore_result=True)
def expire_signals() -> int:
    """The net under the market-data process. Signals are dated by the exchange: without its time nothing expires."""
    times = [exchange_time(account.pk) for account in trading_accounts()]
    newest = max((at.now_ms for at in times if at is not None and not at.is_stale), default=None)
    return 0 if newest is None else signals_expire(now=from_ms(newest))


@shared_task(name="trading.measures_update", ignore_result=True)
def update_measures() -> None:
    measures_update(now=timezone.now())


@shared_task(name="trading.performance_update", ignore_result=True)
def update_performance() -> int:
    return sum(performance_roll_up(account_id=account.pk, now=timezone.now()) for account in trading_accounts())


@shared_task(name="trading.validation_update", ignore_result=True)
def update_validation() -> int:
    """Models live signals on the bars that arrived since; what was missed is made up by the next run."""
    return validation_update()


@shared_task(name="trading.retention", ignore_result=True)
def retention() -> dict[str, int]:
    return trading_retention_apply(now=timezone.now(), folder=archive_folder())


PART_EXPIRES_S = 86_400.0
"""A part may wait long behind others; one left over from workers that died does nothing once it has been done."""

# -- research --------------------------------------------------------------------------------------------------------


@shared_task(name="trading.tend_research", ignore_result=True)
def tend_research() -> int:
    return research_tend(now=timezone.now()) if settings.AVIGRID["RESEARCH"] else 0


@shared_task(name="trading.research_backtest", ignore_result=True)
def research_backtest(run_id: int) -> bool:
    return backtest_work(run_id, now=timezone.now)


@shared_task(name="trading.research_calibrate", ignore_result=True)
def research_calibrate(run_id: int) -> bool:
    return calibration_work(run_id, now=timezone.now)


@shared_task(name="trading.research_sweep", ignore_result=True)
def research_sweep(run_id: int) -> int:
    """Spreads the parts that are missing over the workers."""
    missing = sweep_missing(run_id, now=timezone.now)
    for number in missing:
        research_sweep_part.apply_async((run_id, number), expires=PART_EXPIRES_S)
    return len(missing)


@shared_task(name="trading.research_sweep_part", ignore_result=True)
def research_sweep_part(run_id: int, number: int) -> bool:
    return sweep_part_work(run_id, number, now=timezone.now)
