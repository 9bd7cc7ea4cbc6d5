"""The demo's people: one a role, with printed credentials. Refused outside the demo."""

import secrets
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction

from accounts.ciphers import Purpose, get_cipher
from accounts.core import totp
from accounts.core.roles import Role
from accounts.models import TotpDevice, User
from accounts.selectors.people import user_by_email
from accounts.services.second_factor import device_for_demo
from accounts.services.users import user_create
from avigrid.kernel.errors import Rejected

DOMAIN = "demo.avigrid.example"


@dataclass(frozen=True, slots=True)
class DemoUser:
    role: Role
    email: str
    password: str = field(repr=False)
    otpauth_uri: str = field(repr=False)


def demo_users_create() -> list[DemoUser]:
    """A viewer, a trader and an admin with fresh passwords and devices; run again, they get new ones."""
    _only_in_demo()
    people = []
    with transaction.atomic():
        for role in Role:
            email = f"{role.value}@{DOMAIN}"
            password = f"{secrets.token_urlsafe(9)}-7a"
            user = user_by_email(email)
            if user is None:
                user = user_create(email=email, role=role, actor="demo", name=role.value.title(), password=password)
            else:
                user.set_password(password)
                user.save(update_fields=["password"])
            uri = device_for_demo(user=user).uri
            people.append(DemoUser(role=role, email=email, password=password, otpauth_uri=uri))
    return people


def demo_code(*, email: str, now_s: int) -> str:
    """The code the device of a demo user shows now, so that nobody needs a phone to look around."""
    _only_in_demo()
    device = TotpDevice.objects.filter(user__email__iexact=email, confirmed=True).select_related("user").first()
    if device is None or not _is_demo(device.user):
        raise Rejected(f"{email} is not a user of the demo.", code="not_a_demo_user")
    return totp.current_code(secret=get_cipher(Purpose.OTP).decrypt(device.secret_ciphertext), now_s=now_s)


def _is_demo(user: User) -> bool:
    return user.email.endswith(f"@{DOMAIN}")


def _only_in_demo() -> None:
    if not settings.AVIGRID["DEMO"] or settings.SECRETS_BACKEND != "local":
        raise Rejected("Only the demo has users with printed credentials.", code="not_in_demo")
