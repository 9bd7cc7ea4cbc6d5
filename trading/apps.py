"""The trading app: strategy decisions become plans, plans become orders, orders become booked fills."""

from django.apps import AppConfig


class TradingConfig(AppConfig):
    name = "trading"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Trading"
