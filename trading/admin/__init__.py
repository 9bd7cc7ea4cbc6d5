"""Trading in Django's admin: for reading. What may be done to a plan is done on its page, through the services.

Only strategy versions and notification channels are written here, through their services.
"""

from trading.admin import decisions, money, notifications, plans, reconciliation, research, strategy

__all__ = ["decisions", "money", "notifications", "plans", "reconciliation", "research", "strategy"]
