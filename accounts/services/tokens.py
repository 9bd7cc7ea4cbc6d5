"""API tokens: issued against password and code, rotated on every refresh, revoked as a family."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken, Token

from accounts.core.context import current_origin
from accounts.models import TokenFamily, User
from accounts.selectors.people import family_owner, user_role
from accounts.services.audit import audit
from accounts.services.sessions import sockets_ask_again
from avigrid.kernel.errors import AviGridError


class TokenRefused(AviGridError):
    """Codes: `token_invalid`, `token_reused` (the family is revoked), `token_revoked`."""

    code = "token_invalid"


@dataclass(frozen=True, slots=True)
class TokenPair:
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    access_expires_s: int


def tokens_issue(*, user: User, otp: bool) -> TokenPair:
    """A new family: one login of one program."""
    origin = current_origin()
    with transaction.atomic():
        family = TokenFamily.objects.create(user=user, ip=origin.ip, user_agent=origin.user_agent[:200])
        return _rotate(family, user=user, otp=otp)


def tokens_refresh(*, refresh: str) -> TokenPair:
    """A new pair for the newest refresh token of a family. An older one revokes the family. Raises TokenRefused."""
    token = _read(refresh)
    reused = False
    with transaction.atomic():
        family = (
            TokenFamily.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(pk=_family_id(token))
            .first()
        )
        if family is None or family.revoked_at is not None:
            raise TokenRefused("This login was ended.", code="token_revoked")
        _check_owner(family.user, token)
        if family.current_jti != token["jti"]:
            reused = True
            family.revoked_at = timezone.now()
            family.save(update_fields=["revoked_at"])
            audit(actor=family.user, action="token.reused", obj=f"accounts.tokenfamily:{family.pk}")
            sockets_ask_again(family.user_id)
        else:
            pair = _rotate(family, user=family.user, otp=bool(token.get("otp")))
    if reused:  # outside the block, so that the revocation is kept
        raise TokenRefused("This token was used before; every token of that login is revoked.", code="token_reused")
    return pair


def tokens_revoke(*, refresh: str) -> None:
    """Logout. An unusable token raises TokenRefused; a second logout is harmless."""
    token = _read(refresh)
    with transaction.atomic():
        family = (
            TokenFamily.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(pk=_family_id(token))
            .first()
        )
        if family is None or family.revoked_at is not None:
            return
        family.revoked_at = timezone.now()
        family.save(update_fields=["revoked_at"])
        audit(actor=family.user, action="logout", obj=family.user, after={"door": "api"})
        sockets_ask_again(family.user_id)


def family_end(*, user: User, family_id: UUID) -> bool:
    """End one of one's own API logins; False where it is not theirs or over already."""
    with transaction.atomic():
        mine = TokenFamily.objects.filter(pk=family_id, user=user, revoked_at__isnull=True)
        if mine.update(revoked_at=timezone.now()) != 1:
            return False
        audit(actor=user, action="session.ended", obj=f"accounts.tokenfamily:{family_id}")
        sockets_ask_again(user.pk)
    return True


def token_user(token: Token) -> User:
    """The active owner of a valid access token, one query. Raises TokenRefused."""
    user = family_owner(_family_id(token))
    if user is None:
        raise TokenRefused("This login was ended.", code="token_revoked")
    _check_owner(user, token)
    return user


def families_forget(*, before: datetime) -> int:
    """Drop families nobody can use any more."""
    return TokenFamily.objects.filter(expires_at__lt=before).delete()[0]


def _rotate(family: TokenFamily, *, user: User, otp: bool) -> TokenPair:
    refresh = RefreshToken.for_user(user)
    role = user_role(user)
    refresh["fam"] = str(family.pk)
    refresh["epoch"] = user.auth_epoch
    refresh["role"] = role.value if role else ""
    refresh["otp"] = otp
    family.current_jti = refresh["jti"]
    family.last_used_at = timezone.now()
    family.expires_at = datetime.fromtimestamp(refresh["exp"], tz=UTC)
    family.save(update_fields=["current_jti", "last_used_at", "expires_at"])
    access = refresh.access_token
    return TokenPair(access=str(access), refresh=str(refresh), access_expires_s=int(access.lifetime.total_seconds()))


def _read(refresh: str) -> RefreshToken:
    try:
        return RefreshToken(refresh)  # type: ignore[arg-type]
    except TokenError:
        raise TokenRefused("This token is not valid or has expired.") from None


def _family_id(token: Token) -> UUID:
    try:
        return UUID(str(token.get("fam")))
    except ValueError:
        raise TokenRefused("This token is not one of ours.") from None


def _check_owner(user: User, token: Token) -> None:
    if not user.is_active or str(user.pk) != token.get("sub") or user.auth_epoch != token.get("epoch"):
        raise TokenRefused("This login was ended.", code="token_revoked")
