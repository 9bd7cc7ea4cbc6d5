"""One account's venue for a process that must reach it on a bad day: opened when first needed, kept from then on."""

from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError

from accounts.ciphers.base import CipherError
from accounts.services.api_keys import CredentialWatch
from avigrid.kernel.errors import Retryable
from trading.runtime.venue import VenueAccess, account_of, open_venue

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class VenueLine:
    """What it holds outlives a key store that is sealed or refuses, a way to the venue that is closed and a database
    that is away; a rotated key opens it anew as soon as it can be used."""

    account_id: int
    process: str
    _watch: CredentialWatch | None = None
    _held: VenueAccess | None = None

    def venue(self) -> VenueAccess:
        """Raises AviGridError where nothing is held and nothing can be opened."""
        try:
            return self._current()
        except (OperationalError, InterfaceError, CipherError, Retryable) as error:
            if self._held is None:
                raise
            log.warning("venue_line_held", account_id=self.account_id, error=type(error).__name__)
            return self._held

    def _current(self) -> VenueAccess:
        if self._watch is None:
            self._watch = CredentialWatch(account_of(self.account_id), process=self.process)
        credentials = self._watch.current()
        if self._held is None or self._held.key_row != credentials.api_key_row:
            self._held = open_venue(self.account_id, process=self.process, credentials=credentials)
        return self._held
