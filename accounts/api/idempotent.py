"""`@idempotent` on an API write: an `Idempotency-Key` is required, and a repeated one gets the first answer."""

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from accounts.api.caller import caller
from accounts.services.idempotency import Answer, call_once
from avigrid.common.api_errors import Refused, problem_of
from avigrid.kernel.errors import AviGridError

HEADER = "Idempotency-Key"
_KEY = re.compile(r"^[\x21-\x7e]{8,80}$")

Operation = Callable[..., Response]


def idempotent(operation: Operation, *, required: bool = True) -> Operation:
    """Not `required` where asking twice is harmless and nobody should look for a header in an emergency."""

    @wraps(operation)
    def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER, "")
        if not key and not required:
            return operation(view, request, *args, **kwargs)
        if not _KEY.match(key):
            sentence = f"Send an {HEADER} of 8 to 80 visible characters."
            raise Refused("idempotency_key_required", sentence, status_code=400)
        asked = [request.method, request.path, sorted(request.query_params.lists()), request.data]
        said = json.dumps(asked, sort_keys=True, cls=JSONEncoder).encode()

        def call() -> Answer:
            try:
                with transaction.atomic():
                    response = operation(view, request, *args, **kwargs)
            except (APIException, AviGridError) as error:
                refused = problem_of(error)
                if refused is None or refused.status_code >= 500:
                    raise  # not an answer to keep: the same key may be tried again
                response = refused
            body = json.loads(json.dumps(response.data, cls=JSONEncoder))
            return Answer(response.status_code, body, response.content_type or JSONRenderer.media_type)

        answer, was_replayed = call_once(user=caller(request), key=key, request=said, call=call)
        response = Response(answer.body, status=answer.status_code, content_type=answer.media_type)
        response["Idempotent-Replayed"] = "true" if was_replayed else "false"
        return response

    return once


def idempotent_if_keyed(operation: Operation) -> Operation:
    return idempotent(operation, required=False)
