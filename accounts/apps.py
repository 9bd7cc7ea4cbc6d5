"""App registration; makes sure the three role groups exist after every migration."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts and security"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(_create_role_groups, sender=self)


def _create_role_groups(using: str, **_: object) -> None:
    from django.contrib.auth.models import Group

    from accounts.core.roles import Role

    for role in Role:
        Group.objects.using(using).get_or_create(name=role.value)
