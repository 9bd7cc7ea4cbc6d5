from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "avigrid.common"
    label = "common"
