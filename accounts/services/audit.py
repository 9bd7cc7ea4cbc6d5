"""The one way to write an audit entry. Call it inside the transaction it describes."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.contrib.auth.models import AnonymousUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from accounts.core.addresses import normalised
from accounts.core.context import current_origin
from accounts.models import AuditEntry, User
from accounts.selectors.audit_chain import digest_of

_SECRET_KEY = re.compile(r"secret|password|ciphertext|token|recovery", re.IGNORECASE)


def audit(
    *,
    actor: User | AnonymousUser | str | None,
    action: str,
    obj: models.Model | str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    reason: str = "",
    ip: str | None = None,
    otp_used: bool = False,
) -> AuditEntry:
    """Write one entry. `actor` is a user or the name of a process; `obj` a saved row or "type:id".

    `before` and `after` hold only what changed; never put an e-mail address there, name the user by id. The address
    is taken from the current request unless given.
    """
    object_type, object_id = _object(obj)
    entry = AuditEntry(
        at=timezone.now(),
        actor=actor if isinstance(actor, User) else _unwrapped(actor),
        actor_name=actor if isinstance(actor, str) else "",
        action=action,
        object_type=object_type,
        object_id=object_id,
        before=_plain(before),
        after=_plain(after),
        reason=_storable(reason),
        ip=normalised(ip) if ip else current_origin().ip,
        otp_used=otp_used,
    )
    entry.digest = digest_of(entry)
    entry.save(force_insert=True)
    return entry


def _unwrapped(actor: object) -> User | None:
    """`request.user` is a lazy wrapper, for which isinstance holds; anonymous people have no row."""
    if actor is None or isinstance(actor, str | AnonymousUser):
        return None
    raise TypeError(f"the actor of an audit entry is a user, a process name or None, not {type(actor).__name__}")


def _object(obj: models.Model | str) -> tuple[str, str]:
    if isinstance(obj, models.Model):
        return obj._meta.label_lower, str(obj.pk)
    kind, _, identity = obj.partition(":")
    return kind, identity


def _plain(value: Mapping[str, object] | None) -> dict[str, object] | None:
    """What comes back from jsonb unchanged: Decimals, times and floats as text, no NUL, nothing secret."""
    if value is None:
        return None
    encoded = json.loads(json.dumps(_texts(value), cls=DjangoJSONEncoder))
    assert isinstance(encoded, dict)
    return encoded


def _texts(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            _storable(str(key)): "[redacted]" if _SECRET_KEY.search(str(key)) and item else _texts(item)
            for key, item in value.items()
        }
    if isinstance(value, str):
        return _storable(str(value))
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_texts(item) for item in items]
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, models.Model):
        return str(value.pk)
    return value


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
