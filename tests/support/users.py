"""People for tests: made with role and device, logged in as the browser or the API would have them."""

from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from rest_framework.test import APIClient

from accounts.ciphers import Purpose, get_cipher
from accounts.core import totp
from accounts.core.roles import Role
from accounts.models import TotpDevice, User
from accounts.services.tokens import tokens_issue
from accounts.services.users import user_create

PASSWORD = "correct horse 42 battery"
SECRET = b"12345678901234567890"
_numbers = count(1)


def make_user(role: str | Role = "viewer", *, with_device: bool | None = None, password: str | None = None) -> User:
    """`with_device` defaults to what the role demands. Without `password` nobody can log in with one (quick)."""
    role = Role(role)
    user = user_create(email=f"{role.value}{next(_numbers)}@desk.example", role=role, actor="test", password=password)
    if with_device if with_device is not None else role.needs_device:
        make_device(user)
    return user


def make_device(user: User) -> TotpDevice:
    return TotpDevice.objects.create(
        user=user, name="test", confirmed=True, secret_ciphertext=get_cipher(Purpose.OTP).encrypt(SECRET)
    )


def code_for(user: User) -> str:
    """A code that works now; call again for the next one: what was used before is forgotten."""
    TotpDevice.objects.filter(user=user).update(
        last_step=-1, throttling_failure_count=0, throttling_failure_timestamp=None
    )
    return totp.current_code(secret=SECRET, now_s=int(timezone.now().timestamp()))


def login(client: Any, user: User, *, fresh_code: bool = False) -> Any:
    """A browser session of `user`, opened with their device if they have one. Returns the client."""
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    device = TotpDevice.objects.filter(user=user, confirmed=True).first()
    session = client.session
    if device is not None:
        session[DEVICE_ID_SESSION_KEY] = device.persistent_id
        age = timedelta(0) if fresh_code else timedelta(hours=1)
        session["otp_code_at"] = (timezone.now() - age).timestamp()
    session["auth_epoch"] = user.auth_epoch
    session.save()
    return client


def api_client(user: User | None = None, *, otp: bool | None = None) -> APIClient:
    """An API client with a bearer token; `otp` defaults to whether the user has a device."""
    client = APIClient()
    if user is not None:
        given = TotpDevice.objects.filter(user=user, confirmed=True).exists() if otp is None else otp
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens_issue(user=user, otp=given).access}")
    return client
