"""App registration; makes sure the three role groups exist after every migration."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts and security"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(_create_role_groups, sender=self)
        _refuse_to_start_without_vault()


def _create_role_groups(using: str, **_: object) -> None:
    from django.contrib.auth.models import Group

    from accounts.core.roles import Role

    for role in Role:
        Group.objects.using(using).get_or_create(name=role.value)


def _refuse_to_start_without_vault() -> None:
    """Better not to start than to find out with a position open."""
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    if settings.SECRETS_BACKEND == "vault" and not (
        settings.VAULT_ADDR and (settings.VAULT_TOKEN or settings.VAULT_TOKEN_FILE)
    ):
        raise ImproperlyConfigured("Production needs Vault: set VAULT_ADDR and VAULT_TOKEN or VAULT_TOKEN_FILE.")
