"""How the API reads a body: JSON in UTF-8, refused with the name of the field where it holds what nobody can keep."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from avigrid.common.json_input import UnfitJson, read_json


class FitJsonParser(JSONParser):
    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Whatever charset the caller names: JSON is UTF-8 (RFC 8259)."""
        try:
            return read_json(stream.read())
        except UnfitJson as unfit:
            field = str(unfit.details["field"])
            if not field:
                raise ParseError(unfit.message) from None
            raise ValidationError({field: [unfit.message]}) from None
