from importlib import import_module

from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "avigrid.common"
    label = "common"

    def ready(self) -> None:
        """Every process that sends a job must know the broker; by name, because the roof is above this floor."""
        import_module("avigrid.celery")
