"""Browser sessions: noted when they begin, ended one by one or all at once."""

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.core.context import current_origin
from accounts.core.groups import person_group
from accounts.models import TokenFamily, User, UserSession
from accounts.selectors.people import living_session
from accounts.services.audit import audit

log = structlog.get_logger(__name__)


def session_note(*, user: User, session_key: str) -> UserSession:
    """Remember where a session was opened."""
    origin = current_origin()
    row, _ = UserSession.objects.update_or_create(
        session_key=session_key,
        defaults={"user": user, "ip": origin.ip, "user_agent": origin.user_agent[:200], "last_seen_at": timezone.now()},
    )
    return row


def session_seen(*, session_key: str) -> None:
    UserSession.objects.filter(session_key=session_key).update(last_seen_at=timezone.now())


def session_end(*, user: User, session_id: int) -> bool:
    """End one of one's own sessions; False where it is not (any more) theirs."""
    with transaction.atomic():
        row = UserSession.objects.select_for_update().filter(pk=session_id, user=user).first()
        if row is None:
            return False
        Session.objects.filter(session_key=row.session_key).delete()
        audit(actor=user, action="session.ended", obj=row)
        row.delete()
        sockets_ask_again(user.pk)
    return True


def session_forget(*, session_key: str) -> None:
    """After an ordinary logout; pages still open in other tabs leave at once."""
    row = UserSession.objects.filter(session_key=session_key).first()
    if row is not None:
        row.delete()
        sockets_ask_again(row.user_id)


def lapsed_forget() -> int:
    """Drop what is known of browsers whose session is over: expired, or replaced by another at a login."""
    return UserSession.objects.exclude(living_session()).delete()[0]


def sign_out_everywhere(*, user: User, keep_session_key: str = "") -> None:
    """End every session and token of `user` now. Part of a larger service, which writes the audit entry."""
    with transaction.atomic():
        mine = UserSession.objects.filter(user=user).exclude(session_key=keep_session_key)
        keys = list(mine.values_list("session_key", flat=True))
        Session.objects.filter(session_key__in=keys).delete()
        mine.delete()
        now = timezone.now()
        TokenFamily.objects.filter(user=user, revoked_at__isnull=True).update(revoked_at=now)
        User.objects.filter(pk=user.pk).update(auth_epoch=F("auth_epoch") + 1)
        user.refresh_from_db(fields=["auth_epoch"])
        sockets_ask_again(user.pk)


def sockets_ask_again(user_id: int) -> None:
    """For whatever ends a login: once it is committed, each open socket of that person asks whether it may stay."""
    transaction.on_commit(lambda: _end_sockets(user_id), robust=True)


def _end_sockets(user_id: int) -> None:
    """Open sockets ask again whether they may stay; without Redis they do so within half a minute anyway."""
    try:
        async_to_sync(get_channel_layer().group_send)(person_group(user_id), {"type": "access.ended"})
    except Exception as error:
        log.warning("sockets_not_told", user_id=user_id, error=type(error).__name__)
