"""One-time links by e-mail: the first password and a forgotten one."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

import structlog
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.models import OneTimeLink, User
from accounts.selectors.people import user_by_email
from accounts.services.audit import audit
from accounts.services.lockout import failure_count, is_locked_out
from accounts.services.sessions import sign_out_everywhere
from avigrid.kernel.errors import Rejected

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class SentLink:
    """`mailed` is None until the transaction that issued the link is committed. Where it ends as False, whoever asked
    for the link hands it over in person."""

    url: str = field(repr=False)
    mailed: bool | None = None

    @property
    def to_hand_over(self) -> str | None:
        return self.url if self.mailed is False else None


def mail_is_configured() -> bool:
    return settings.EMAIL_BACKEND != "django.core.mail.backends.dummy.EmailBackend"


def link_issue(*, user: User, purpose: OneTimeLink.Purpose, actor: User | str | None, otp_used: bool = False) -> str:
    """A fresh token; earlier unused links of the same person and purpose stop working. Only its hash is stored."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        OneTimeLink.objects.filter(user=user, purpose=purpose, used_at__isnull=True).delete()
        link = OneTimeLink.objects.create(
            user=user,
            purpose=purpose,
            token_hash=_hash(token),
            expires_at=timezone.now() + timedelta(hours=settings.ONE_TIME_LINK_HOURS),
        )
        audit(actor=actor, action="link.issued", obj=user, after={"purpose": link.purpose}, otp_used=otp_used)
    return token


def link_send(
    *, user: User, purpose: OneTimeLink.Purpose, actor: User | str | None, base_url: str, otp_used: bool = False
) -> SentLink:
    """Issue a link and mail it after commit."""
    token = link_issue(user=user, purpose=purpose, actor=actor, otp_used=otp_used)
    sent = SentLink(base_url.rstrip("/") + reverse("accounts:link", args=[token]))
    if not mail_is_configured():
        sent.mailed = False
        return sent
    context = {"url": sent.url, "purpose": purpose.value, "hours": settings.ONE_TIME_LINK_HOURS}
    body = render_to_string("accounts/mail/link.txt", context)
    transaction.on_commit(lambda: _mail(user, body, sent), robust=True)
    return sent


def _mail(user: User, body: str, sent: SentLink) -> None:
    sent.mailed = False
    try:
        send_mail("AviGrid: your access", body, None, [user.email])
    except OSError as error:
        log.error("mail_not_sent", purpose="one_time_link", user_id=user.pk, error=type(error).__name__)
    else:
        sent.mailed = True


def reset_ask(*, email: str, base_url: str) -> None:
    """Says nothing about whether the address is known. Nobody gets a link that no mail can carry."""
    if not mail_is_configured():
        return
    user = user_by_email(email)
    if user is not None and user.is_active and user.anonymized_at is None:
        link_send(user=user, purpose=OneTimeLink.Purpose.RESET, actor=user, base_url=base_url)


def link_find(*, token: str) -> OneTimeLink | None:
    """The link, if it can still be used."""
    return (
        OneTimeLink.objects.select_related("user")
        .filter(token_hash=_hash(token), used_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )


def link_use(*, token: str, password: str) -> User:
    """Set the password and burn this link and all others of that person; every session and token of theirs ends.

    Raises Rejected (unknown, used or expired link), ValidationError (weak password).
    """
    with transaction.atomic():
        link = (
            OneTimeLink.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(token_hash=_hash(token), used_at__isnull=True, expires_at__gt=timezone.now())
            .first()
        )
        if link is None or not link.user.is_active:
            raise Rejected("This link was used already or has expired. Ask for a new one.", code="link_expired")
        user = link.user
        validate_password(password, user)
        user.set_password(password)
        user.save(update_fields=["password"])
        link.used_at = timezone.now()
        link.save(update_fields=["used_at"])
        OneTimeLink.objects.filter(user=user, used_at__isnull=True).delete()
        sign_out_everywhere(user=user)
        audit(actor=user, action="password.set", obj=user, after={"by": link.purpose})
    return user


def password_change(
    *, user: User, old: str, new: str, keep_session_key: str = "", request: HttpRequest | None = None
) -> None:
    """Raises Rejected where `old` is wrong or was guessed at too often, ValidationError where `new` is weak."""
    if request is not None and is_locked_out(request=request, user=user):
        raise Rejected("Too many failed attempts. Wait and try again.", code="locked_out")
    if not user.check_password(old):
        failure_count(request=request, user=user, action="password.refused", step="password.change")
        raise Rejected("The present password is not right.", code="wrong_password")
    validate_password(new, user)
    with transaction.atomic():
        user.set_password(new)
        user.save(update_fields=["password"])
        sign_out_everywhere(user=user, keep_session_key=keep_session_key)
        audit(actor=user, action="password.set", obj=user, after={"by": "owner"})


def password_set(*, user: User, new: str, actor: User | str) -> None:
    """For whoever keeps the machine. Raises ValidationError where `new` is weak; every session and token ends."""
    validate_password(new, user)
    with transaction.atomic():
        user.set_password(new)
        user.save(update_fields=["password"])
        sign_out_everywhere(user=user)
        audit(actor=actor, action="password.set", obj=user, after={"by": "operator"})


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
