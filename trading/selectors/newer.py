"""For pages that keep no live copy of their rows: a mark that changes when loading them again would show more."""

from accounts.selectors.audit_trail import audit_search
from accounts.selectors.trading_accounts import primary_account
from trading.models import OPEN_PLAN_STATUSES, Decision, Fill, Plan
from trading.selectors.stages import standing_override
from trading.selectors.strategy import active_version


def _decisions(role: str) -> str:
    return str(Decision.objects.order_by("-id").values_list("pk", flat=True).first())


def _audit(role: str) -> str:
    """For those who may read it; for others there is nothing to be told."""
    newest = audit_search().values_list("pk", flat=True).first() if role == "admin" else None
    return str(newest)


def _plans(role: str) -> str:
    account = primary_account()
    plans = Plan.objects.filter(account=account.pk if account else None)
    newest = plans.order_by("-id").values_list("pk", flat=True).first()
    return f"{newest}-{plans.filter(status__in=OPEN_PLAN_STATUSES).count()}"


def _results(role: str) -> str:
    account = primary_account()
    fills = Fill.objects.filter(account=account.pk if account else None)
    return str(fills.order_by("-id").values_list("pk", flat=True).first())


def _stage(role: str) -> str:
    version, override = active_version(), standing_override()
    return f"{version.pk if version else ''}-{version.stage if version else ''}-{override is not None}"


_MARKS = {"decisions": _decisions, "audit": _audit, "plans": _plans, "results": _results, "stage": _stage}


def mark_of(topic: str, role: str) -> str:
    """Empty for a topic nobody knows."""
    return _MARKS[topic](role) if topic in _MARKS else ""
