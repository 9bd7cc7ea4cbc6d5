"""A research run as a form: what is wrong is said beside the field it is wrong in."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import FeeRates
from marketdata.selectors.stored_ranges import StoredRange
from trading.avi5.config import InvalidConfig, Profile, StrategyConfig, parse_setting
from trading.backtest.request import KINDS, LANGUAGES, WALK_FIELDS, ResearchRequest, read_request
from trading.backtest.result import BacktestSettings
from trading.backtest.walk_forward import WalkForward

_KIND_WORDS = {
    "backtest": gettext_lazy("Backtest"),
    "sweep": gettext_lazy("Sweep"),
    "calibrate": gettext_lazy("Calibration"),
}
_FIELD_OF = {"from": "since", "to": "until", "kind": "kind", "symbols": "symbols", "axes": "axes"}
_OWN = (*WALK_FIELDS, "r_usd", "equity_usd", "taker_fee", "maker_fee", "anti_churn_s")
_DAY_BARS = 288
_WARM_UP_DAYS = 2
_LEAST_DAYS = 10


def _walk_that_fits(stored: Sequence[StoredRange]) -> dict[str, int]:
    """The usual walk where there is history for it, else one with four steps over what the symbols have in common."""
    usual = WalkForward()
    if not stored:
        return {}
    first_ms, last_ms = max(known.first_ms for known in stored), min(known.last_ms for known in stored)
    days = (last_ms - first_ms) // 86_400_000 - _WARM_UP_DAYS
    if days >= usual.train_days + usual.test_days or days < _LEAST_DAYS:
        return {}
    step = max(1, days // 8)
    return {"train_days": days - 4 * step, "test_days": step, "step_days": step}


class ResearchForm(forms.Form):
    """`clean` leaves `params`, as `research_start` takes them. Times are UTC."""

    kind = forms.ChoiceField(choices=[(kind, _KIND_WORDS[kind]) for kind in KINDS], initial="backtest")
    symbols = forms.MultipleChoiceField(
        error_messages={"required": gettext_lazy("Choose at least one symbol."),
                        "invalid_choice": gettext_lazy("No 5m bars of %(value)s are stored.")},
    )  # fmt: skip
    profile = forms.ChoiceField(
        required=False,
        choices=[
            ("", gettext_lazy("as the strategy in use")),
            *[(profile.value, profile.value) for profile in Profile],
        ],
    )
    since = forms.CharField(required=False, max_length=32)
    until = forms.CharField(required=False, max_length=32)
    overrides = forms.CharField(required=False, max_length=4000)
    axes = forms.CharField(required=False, max_length=8000)
    train_days = forms.IntegerField(required=False, initial=WalkForward().train_days)
    test_days = forms.IntegerField(required=False, initial=WalkForward().test_days)
    step_days = forms.IntegerField(required=False, initial=WalkForward().step_days)
    thetas = forms.CharField(required=False, max_length=400, initial=", ".join(map(str, WalkForward().thetas)))
    least_trades = forms.IntegerField(required=False, initial=WalkForward().least_trades)
    least_trades_out = forms.IntegerField(required=False, initial=WalkForward().least_trades_out)
    accept_pf = forms.CharField(required=False, max_length=32, initial=str(WalkForward().accept_pf))
    psi_limit = forms.CharField(required=False, max_length=32, initial=str(WalkForward().psi_limit))
    r_usd = forms.CharField(required=False, max_length=32, initial="100")
    equity_usd = forms.CharField(required=False, max_length=32, initial="10000")
    taker_fee = forms.CharField(required=False, max_length=32, initial=f"{FeeRates().taker:f}")
    maker_fee = forms.CharField(required=False, max_length=32, initial=f"{FeeRates().maker:f}")
    anti_churn_s = forms.IntegerField(required=False, initial=BacktestSettings().anti_churn_ms // 1_000)
    key = forms.UUIDField()
    """Made with the form: however often it arrives, it starts one run."""

    def __init__(self, *args: Any, base: StrategyConfig, stored: Sequence[StoredRange], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.base, self.stored = base, {known.symbol: known for known in stored}
        self.fields["symbols"].choices = [(symbol, symbol) for symbol in self.stored]  # type: ignore[attr-defined]
        self.params: dict[str, object] = {}
        for name, days in _walk_that_fits(stored).items():
            self.fields[name].initial = days

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        kind = cleaned.get("kind", "backtest")
        changes = self._changes(cleaned)
        axes = self._axes(cleaned.get("axes", "")) if kind == "sweep" else None
        if self.errors:
            return cleaned
        self.params = {"symbols": list(cleaned["symbols"]), "config": changes}
        for name, field in (("from", "since"), ("to", "until")):
            if cleaned[field]:
                self.params[name] = cleaned[field]
        for name in _OWN:
            if cleaned[name] not in (None, "") and (kind == "calibrate" or name not in WALK_FIELDS):
                self.params[name] = _values(cleaned[name]) if name == "thetas" else cleaned[name]
        if axes is not None:
            self.params["axes"] = axes
        language = (get_language() or "en")[:2]
        if kind == "backtest" and language in LANGUAGES and language != "en":
            self.params["language"] = language
        try:
            self._check_history(read_request(kind, self.params, base=self.base))
        except Rejected as error:
            self.add_error(self._field_of(error), error.message)
        return cleaned

    def _changes(self, cleaned: Mapping[str, Any]) -> dict[str, object]:
        """One `field=value` a line."""
        changes: dict[str, object] = {}
        for line in _lines(cleaned.get("overrides", "")):
            try:
                name, value = parse_setting(line)
                changes[name] = value
            except InvalidConfig as error:
                self.add_error("overrides", error.message)
        if cleaned.get("profile"):
            changes["profile"] = cleaned["profile"]
        return changes

    def _axes(self, text: str) -> dict[str, object] | None:
        """One `field=v1, v2, v3` a line; lists as values are JSON."""
        axes: dict[str, object] = {}
        for line in _lines(text):
            name, sign, raw = line.partition("=")
            name = name.strip()
            if not sign or not raw.strip():
                self.add_error("axes", _("A line is written field=value, value, …; got “%(line)s”.") % {"line": line})
                continue
            axes[name] = _values(raw)
        if not axes and "axes" not in self.errors:
            self.add_error("axes", _("A sweep needs at least one field with values."))
        return axes

    def _check_history(self, request: ResearchRequest) -> None:
        """What is stored must reach past the warm-up, and for a calibration over one training and one test."""
        warm_up = request.config.warmup_5m_bars
        for symbol in request.symbols:
            known = self.stored[symbol]
            end_ms = min(known.last_ms, request.to_ms if request.to_ms is not None else known.last_ms)
            bars = (end_ms - known.first_ms) // 300_000 + 1
            if bars <= warm_up:
                self.add_error(
                    "symbols",
                    _("%(symbol)s: %(bars)d bars of 5m are stored up to there; the first decision needs %(needed)d. "
                      "Wait, or fetch older ones with manage.py backfill.")
                    % {"symbol": symbol, "bars": max(bars, 0), "needed": warm_up + 1},
                )  # fmt: skip
            elif request.walk is not None:
                needed, days = request.walk.train_days + request.walk.test_days, (bars - warm_up) / _DAY_BARS
                if days < needed:
                    self.add_error(
                        "train_days",
                        _("%(symbol)s: %(days).1f days of warm bars are stored; training and test need %(needed)d.")
                        % {"symbol": symbol, "days": days, "needed": needed},
                    )

    def _field_of(self, error: Rejected) -> str:
        named = str(error.details.get("field", ""))
        if named.startswith("axes"):
            return "axes"
        if error.code == "grid_too_large":
            return "axes"
        return _FIELD_OF.get(named, named if named in self.fields else "overrides")


def _lines(text: str) -> list[str]:
    return [line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#")]


def _values(raw: str) -> list[object]:
    """JSON where it is JSON, else words: `0.2, 0.3` and `[1, 2], [3, 4]` and `swing, grid`."""
    try:
        return list(json.loads(f"[{raw.strip().strip(',')}]"))
    except (ValueError, RecursionError):
        return [_value(word.strip()) for word in raw.split(",") if word.strip()]


def _value(word: str) -> object:
    try:
        return json.loads(word.lower() if word in ("True", "False") else word)
    except (ValueError, RecursionError):
        return word
