"""Rules for passwords beyond Django's own."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


class LettersAndDigitsValidator:
    def validate(self, password: str, user: object = None) -> None:
        if not (any(mark.isalpha() for mark in password) and any(mark.isdigit() for mark in password)):
            raise ValidationError(self.get_help_text(), code="password_needs_letters_and_digits")

    def get_help_text(self) -> str:
        return _("Your password must contain letters and digits.")
