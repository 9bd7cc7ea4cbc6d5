"""Where Alertmanager knocks. Its token is its only right: it can tell, and halt where the operator allowed it."""

from hmac import compare_digest

import structlog
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts.permissions.http import requires
from avigrid.common.json_input import UnfitJson, read_json
from trading.services.alert_hook import outside_alerts_take, read_alerts

log = structlog.get_logger(__name__)


@requires(POST="alert.webhook")
@csrf_exempt
def alertmanager_hook(request: HttpRequest) -> JsonResponse:
    """404 where no token is configured, 401 for another one, 400 for what is no message of Alertmanager's."""
    token = str(settings.AVIGRID["ALERT_WEBHOOK_TOKEN"])
    if not token:
        return JsonResponse({"code": "not_configured"}, status=404)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not compare_digest(given.encode(), token.encode()):
        log.warning("alert_webhook_refused")
        return JsonResponse({"code": "wrong_token"}, status=401)
    try:
        alerts = read_alerts(read_json(request.body))
    except (ValueError, UnfitJson) as error:
        return JsonResponse({"code": "bad_message", "detail": str(error)}, status=400)
    taken = outside_alerts_take(alerts=alerts, now=timezone.now())
    return JsonResponse({"new": taken.new, "halted": taken.halted})
