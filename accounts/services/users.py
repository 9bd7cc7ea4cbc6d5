"""People come, change roles, leave, and are forgotten."""

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.core.roles import Role
from accounts.models import OneTimeLink, RecoveryCode, TotpDevice, User
from accounts.selectors.people import users_with_role
from accounts.services.audit import audit
from accounts.services.sessions import sign_out_everywhere
from avigrid.kernel.errors import Rejected


def user_create(
    *, email: str, role: Role, actor: User | str, name: str = "", password: str | None = None, otp_used: bool = False
) -> User:
    """Without a password the person enters through a one-time link. Raises Rejected: `email_taken`, `bad_email`."""
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Rejected("This is not an e-mail address.", code="bad_email") from None
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, password, name=name.strip())
            _set_group(user, role)
            audit(actor=actor, action="user.created", obj=user, after={"role": role.value}, otp_used=otp_used)
    except IntegrityError:
        raise Rejected("A user with this e-mail address exists.", code="email_taken") from None
    return user


def user_role_set(*, user: User, role: Role, actor: User | str, otp_used: bool = False) -> User:
    """Sessions and tokens end, so that nobody keeps working with the old role. The last admin cannot step down."""
    with transaction.atomic():
        user = _locked_among_admins(user)
        before = user.role
        if before is role:
            return user
        if before is Role.ADMIN:
            _refuse_last_admin(user)
        User.objects.filter(pk=user.pk).update(is_superuser=False)
        _set_group(user, role)
        sign_out_everywhere(user=user)
        audit(
            actor=actor,
            action="user.role_changed",
            obj=user,
            before={"role": before.value if before else None},
            after={"role": role.value},
            otp_used=otp_used,
        )
    return User.objects.get(pk=user.pk)


def user_rename(*, user: User, name: str, actor: User | str, otp_used: bool = False) -> User:
    """The name itself is personal data and stays out of the audit trail."""
    with transaction.atomic():
        user.name = name.strip()
        user.save(update_fields=["name"])
        audit(actor=actor, action="user.renamed", obj=user, otp_used=otp_used)
    return user


def user_deactivate(*, user: User, actor: User | str, reason: str = "", otp_used: bool = False) -> None:
    """Effective at once: sessions, tokens, links. Idempotent. The last admin cannot be deactivated."""
    with transaction.atomic():
        user = _locked_among_admins(user)
        if not user.is_active:
            return
        if user.role is Role.ADMIN:
            _refuse_last_admin(user)
        user.is_active = False
        user.deactivated_at = timezone.now()
        user.save(update_fields=["is_active", "deactivated_at"])
        OneTimeLink.objects.filter(user=user, used_at__isnull=True).delete()
        sign_out_everywhere(user=user)
        audit(
            actor=actor,
            action="user.deactivated",
            obj=user,
            before={"active": True},
            after={"active": False},
            reason=reason,
            otp_used=otp_used,
        )


def user_reactivate(*, user: User, actor: User | str, otp_used: bool = False) -> None:
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if user.anonymized_at is not None:
            raise Rejected("An erased account cannot come back.", code="user_erased")
        if user.is_active:
            return
        user.is_active = True
        user.deactivated_at = None
        user.save(update_fields=["is_active", "deactivated_at"])
        audit(
            actor=actor,
            action="user.reactivated",
            obj=user,
            before={"active": False},
            after={"active": True},
            otp_used=otp_used,
        )


def user_anonymize(*, user: User, actor: User | str, reason: str = "") -> str:
    """Replace everything personal; the audit trail stays and points at the pseudonym, which is returned."""
    user_deactivate(user=user, actor=actor, reason=reason)
    pseudonym = f"erased-{user.pk}@erased.invalid"
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if user.anonymized_at is not None:
            return user.email
        _forget_elsewhere(user, pseudonym)
        user.email = pseudonym
        user.name = ""
        user.last_login = None
        user.anonymized_at = timezone.now()
        user.set_unusable_password()
        user.save(update_fields=["email", "name", "last_login", "anonymized_at", "password"])
        TotpDevice.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        OneTimeLink.objects.filter(user=user).delete()
        user.token_families.all().delete()
        audit(actor=actor, action="user.anonymized", obj=user, reason=reason)
    return pseudonym


def _forget_elsewhere(user: User, pseudonym: str) -> None:
    """The lockout's tables hold addresses as they were typed, the admin's history as they were shown."""
    for table in (AccessAttempt, AccessFailureLog, AccessLog):
        table.objects.filter(username__iexact=user.email).delete()
    kind = ContentType.objects.get_for_model(User)
    LogEntry.objects.filter(content_type=kind, object_id=str(user.pk)).update(object_repr=pseudonym, change_message="")


def _set_group(user: User, role: Role) -> None:
    group, _ = Group.objects.get_or_create(name=role.value)
    user.groups.remove(*Group.objects.filter(name__in=[other.value for other in Role if other is not role]))
    user.groups.add(group)
    user.__dict__.pop("role", None)


def _locked_among_admins(user: User) -> User:
    """Locks the person and every admin, all in one order: two admins can neither remove each other at the same instant
    nor wait for each other for ever."""
    admins = set(users_with_role(Role.ADMIN).values_list("pk", flat=True))
    rows = User.objects.select_for_update(no_key=True).filter(pk__in=admins | {user.pk}).order_by("pk")
    return next(row for row in rows if row.pk == user.pk)


def _refuse_last_admin(user: User) -> None:
    """Asks anew: who was an admin before the lock was there may be none now."""
    if not users_with_role(Role.ADMIN).filter(is_active=True).exclude(pk=user.pk).exists():
        raise Rejected("This is the last admin; make somebody else admin first.", code="last_admin")
