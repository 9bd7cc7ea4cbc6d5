"""Every number of the strategy as one field each, with its limits; what comes out is a StrategyConfig."""

from enum import StrEnum
from typing import Any

from django import forms

from trading.avi5.config import InvalidConfig, StrategyConfig
from trading.avi5.limits import LIMITS
from trading.forms.strategy_help import HELP
from trading.models import Stage, StrategyVersion
from trading.selectors.strategy import active_version, config_of

FIELDS = tuple(StrategyConfig().to_mapping())
_STRUCTURED = ("theta_by_hour", "dead_hours", "tp_shares")
STAGES = [(stage.value, stage.label) for stage in (Stage.VALIDATION, Stage.PAPER)]
"""Going live is not a field to fill in: it has a gate of its own."""


class StrategyVersionForm(forms.ModelForm):
    """A new version, starting from the active one. `clean` refuses what StrategyConfig refuses, at its field."""

    stage = forms.ChoiceField(choices=STAGES)
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), help_text="Why; kept with the version.")
    activate = forms.BooleanField(required=False, initial=True, help_text="Decide with it from the next bar on.")
    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    """What the form was filled in from: another version in between would be lost."""
    config: StrategyConfig

    class Meta:
        model = StrategyVersion
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        active = active_version()
        start = config_of(active).to_mapping() if active else StrategyConfig().to_mapping()
        for name in FIELDS:
            field = _form_field(name, getattr(StrategyConfig(), name))
            field.disabled = name in LIMITS and LIMITS[name][0] == LIMITS[name][1]
            field.help_text = " · ".join(str(text) for text in (HELP.get(name, ""), field.help_text) if text)
            self.fields[name] = field
            self.initial.setdefault(name, start[name])
        self.initial.setdefault("expected_version", active.version if active else 0)
        if active:
            self.initial.setdefault("stage", active.stage)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            given = {name: cleaned[name] for name in FIELDS if cleaned[name] is not None}
            self.config = StrategyConfig.from_mapping(given)
        except InvalidConfig as error:
            name = str(error.details.get("field", ""))
            self.add_error(name if name in self.fields else None, error.message)
        return cleaned

    def _post_clean(self) -> None:
        """The service makes the row; the model's own validation would look at an instance that stays empty."""


def _form_field(name: str, default: object) -> forms.Field:
    low, high = LIMITS.get(name, (None, None))
    limits = "" if low is None or low == high else f"{low:g} to {high:g}"
    if isinstance(default, bool):
        return forms.BooleanField(required=False)
    if isinstance(default, StrEnum):
        return forms.ChoiceField(choices=[(member.value, member.value) for member in type(default)])
    if name in _STRUCTURED:
        widget = forms.Textarea(attrs={"rows": 2})
        return forms.JSONField(
            required=False, widget=widget, help_text='As JSON, for example {"13": 0.4} or [0.5, 0.3, 0.2]'
        )
    if isinstance(default, int):
        return forms.IntegerField(help_text=limits)
    if isinstance(default, float):
        return forms.FloatField(help_text=limits)
    return forms.CharField(max_length=32)
