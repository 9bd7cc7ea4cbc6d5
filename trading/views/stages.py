"""Moving a strategy version between validation, paper and live, from the Research page."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.permissions.http import requires
from avigrid.kernel.errors import AviGridError
from trading.services.stages import change_stage


@requires(POST="stage.change")
def stage_change_view(request: HttpRequest) -> HttpResponse:
    """The permission asked for the fresh code that came with the form."""
    version = request.POST.get("version", "")
    try:
        change = change_stage(
            version_id=int(version) if version.isdecimal() and len(version) < 19 else 0,
            stage=request.POST.get("stage", "")[:16],
            actor=request.user,  # type: ignore[arg-type]
            reason=request.POST.get("reason", "")[:500],
            otp_used=True,
            override="override" in request.POST,
            now=timezone.now(),
        )
    except AviGridError as error:
        messages.warning(request, error.message)
    else:
        said = _("%(version)s was in stage %(before)s and is in stage %(after)s now.")
        messages.info(request, said % {"version": change.strategy, "before": change.before, "after": change.after})
    return redirect("trading:research")
