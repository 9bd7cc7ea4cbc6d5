"""Research: ask for a backtest, a sweep or a calibration, watch it, read it, stop it."""

from hashlib import sha256
from uuid import uuid4

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.permissions.http import requires
from accounts.selectors.people import user_role
from accounts.services.idempotency import Answer, call_once
from avigrid.common.framing import same_origin_frame
from avigrid.kernel.errors import AviGridError
from marketdata.selectors.stored_ranges import stored_ranges
from trading.avi5.config import StrategyConfig
from trading.forms.research import ResearchForm
from trading.selectors import research_page as shown
from trading.selectors.heat_map import heat_map
from trading.selectors.research_comparison import compare_runs
from trading.selectors.stage_panel import stage_panel
from trading.selectors.strategy import active_version, config_of
from trading.services.calibrations import activate_calibration
from trading.services.research import research_cancel, research_start
from trading.services.times import from_ms
from trading.views.answers import toast
from trading.views.frame import page


@requires("research.read")
def research_page(request: HttpRequest) -> HttpResponse:
    return _form_page(request, _form())


@requires(POST="research.run")
def research_start_view(request: HttpRequest) -> HttpResponse:
    """The form's key makes a double click one run; what is refused leaves the form as it was filled in."""
    form = _form(request)
    if not form.is_valid():
        return _form_page(request, form, status=400)
    kind, user = form.cleaned_data["kind"], request.user

    def start() -> Answer:
        run = research_start(kind=kind, params=form.params, actor=user, now=timezone.now())  # type: ignore[arg-type]
        return Answer(302, {"run": run.pk})

    # the same form filled in anew (the browser's Back) is another wish
    wish = sha256(repr((kind, sorted(form.params.items()))).encode())
    key = f"{form.cleaned_data['key'].hex}-{wish.hexdigest()[:16]}"
    try:
        answer, _again = call_once(user=user, key=key, request=wish.digest(), call=start)  # type: ignore[arg-type]
    except AviGridError as error:
        form.add_error(None, error.message)
        return _form_page(request, form, status=400)
    assert isinstance(answer.body, dict)
    return redirect("trading:research_run", answer.body["run"])


@requires("research.read")
def research_run_page(request: HttpRequest, run_id: int) -> HttpResponse:
    row = shown.run_row(run_id)
    if row is None:
        raise Http404
    context: dict[str, object] = {"row": row, **(_outcome(run_id) if row.is_over else {})}
    return page(request, "trading/research_run.html", context, fragments=(f"research_run:{run_id}",))


@requires(GET="research.read")
def research_outcome(request: HttpRequest, run_id: int) -> HttpResponse:
    """A piece of page: what came of a run that has ended."""
    row = shown.run_row(run_id)
    if row is None:
        raise Http404
    role = user_role(request.user)
    context = {"row": row, "role": role.value if role else "", **_outcome(run_id)}
    return render(request, "trading/partials/_research_outcome.html", context)


@requires(GET="research.read")
@same_origin_frame
def research_report(request: HttpRequest, run_id: int) -> HttpResponse:
    html = shown.run_report(run_id)
    if not html:
        raise Http404
    return HttpResponse(html)


@requires(POST="research.run")
def research_cancel_view(request: HttpRequest, run_id: int) -> HttpResponse:
    row = shown.run_row(run_id)
    if row is None:
        raise Http404
    done = research_cancel(run_id=run_id, actor=request.user, now=timezone.now())  # type: ignore[arg-type]
    text = _("Run %(run)s is being cancelled.") if done else _("Run %(run)s needs no cancelling any more.")
    return toast(request, text % {"run": run_id}, refused=not done, back=reverse("trading:research_run", args=[run_id]))


@requires("research.read")
def research_compare(request: HttpRequest) -> HttpResponse:
    """Two finished runs of one kind, side by side."""
    first, second = _number(request.GET.get("a", "")), _number(request.GET.get("b", ""))
    found = compare_runs(first, second) if first and second and first != second else None
    context: dict[str, object] = {
        "rows": shown.comparable_rows(),
        "a": first,
        "b": second,
        "found": found,
        "not_comparable": bool(first and second) and found is None,
        "pair": [run for run in (found.a, found.b) if run.report_html] if found else [],
    }
    return page(request, "trading/research_compare.html", context)


@requires(POST="calibration.activate")
def research_activate(request: HttpRequest, run_id: int) -> HttpResponse:
    """The permission asked for the fresh code that came with the form."""
    try:
        version = activate_calibration(
            run_id=run_id,
            actor=request.user,  # type: ignore[arg-type]
            reason=request.POST.get("reason", "")[:500],
            otp_used=True,
            now=timezone.now(),
        )
    except AviGridError as error:
        messages.warning(request, error.message)
    else:
        text = _("Version %(version)s decides from the next bar on, with the hours of run %(run)s.")
        messages.info(request, text % {"version": version.version, "run": run_id})
    return redirect("trading:research_run", run_id)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _outcome(run_id: int) -> dict[str, object]:
    run = shown.done_run(run_id)
    if run is None:
        return {}
    return {
        "run": run,
        "has_report": bool(run.report_html),
        "sweep": shown.sweep_table(run),
        "calibration": heat_map(run),
        "others": [row for row in shown.comparable_rows(run.kind) if row.id != run.pk],
    }


def _form(request: HttpRequest | None = None) -> ResearchForm:
    data = request.POST if request is not None else None
    return ResearchForm(data, base=_base(), stored=stored_ranges(5), initial={"key": uuid4()})


def _form_page(request: HttpRequest, form: ResearchForm, *, status: int = 200) -> HttpResponse:
    chosen = form["symbols"].value() or []
    context: dict[str, object] = {
        "form": form,
        "chosen": chosen,
        "stored": [
            (known, from_ms(known.first_ms), from_ms(known.last_ms + 300_000)) for known in form.stored.values()
        ],
        "fields": shown.field_rows(form.base),
        "rows": shown.run_rows(),
        "stage": stage_panel(),
    }
    return page(
        request,
        "trading/research.html",
        context,
        fragments=("research",),
        status=status,
        home=reverse("trading:research"),
        newer="stage",
    )


def _base() -> StrategyConfig:
    version = active_version()
    return config_of(version) if version else StrategyConfig()
