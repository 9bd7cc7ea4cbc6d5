"""Writes that trade, at most once per key: the first answer is kept and given again.

The key's row, the effects and the answer commit together. A second request under the same key waits for the first
one's commit and then reads its answer; after a crash nothing of the first is there, and the second is the first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from django.db import transaction

from accounts.models import IdempotentCall, User
from avigrid.kernel.errors import Rejected


@dataclass(frozen=True, slots=True)
class Answer:
    status_code: int
    body: object
    media_type: str = "application/json"


def call_once(*, user: User, key: str, request: bytes, call: Callable[[], Answer]) -> tuple[Answer, bool]:
    """(answer, whether it was replayed). Raises Rejected `idempotency_key_reused` for another request under the key.

    `call` answers refusals too; an exception it raises leaves no trace, and the key stays free.
    """
    digest = sha256(request).hexdigest()
    with transaction.atomic():
        row, is_first = IdempotentCall.objects.get_or_create(user=user, key=key, defaults={"request_hash": digest})
        if not is_first:
            if row.request_hash != digest:
                raise Rejected("This key was used for a different request.", code="idempotency_key_reused")
            assert row.status_code is not None  # committed only together with its answer
            return Answer(row.status_code, row.body, row.media_type), True
        answer = call()
        row.status_code, row.body, row.media_type = answer.status_code, answer.body, answer.media_type
        row.save(update_fields=["status_code", "body", "media_type"])
        return answer, False


def calls_forget(*, before: datetime) -> int:
    """Keys older than a day need not be remembered."""
    return IdempotentCall.objects.filter(created_at__lt=before).delete()[0]
