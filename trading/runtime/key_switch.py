"""A rotated key is taken over while trading goes on: the new one is tried at the venue before the old one is let go."""

from dataclasses import dataclass, field

import structlog

from accounts.ciphers.base import CipherUnavailable
from accounts.selectors.trading_accounts import active_key_id
from accounts.services.api_keys import CredentialWatch
from avigrid.kernel.errors import AviGridError, OperatorNeeded
from trading.runtime.context import Context
from trading.runtime.timers import Timer
from trading.runtime.venue import VenueAccess, open_venue
from trading.services.alerts import alert_raise

log = structlog.get_logger(__name__)
_TRY_EVERY_S = 15.0


@dataclass(slots=True)
class KeySwitch:
    context: Context
    watch: CredentialWatch
    key_row: int
    """The row of the key in use."""
    _again: Timer = field(default_factory=lambda: Timer(_TRY_EVERY_S))

    def look(self, now_s: float) -> VenueAccess | None:
        """The venue under a new key that works; None where there is none, or not yet.

        Raises OperatorNeeded `no_api_key` once no key is active: somebody took it away.
        """
        row = active_key_id(self.context.account_id)
        if row == self.key_row:
            return None
        if row is None:
            raise OperatorNeeded("The key in use was deactivated.", code="no_api_key")
        if not self._again.due(now_s):
            return None
        try:
            venue = self._open(row)
        except AviGridError as error:
            self._tell(row, error)
            return None
        self.key_row = venue.key_row
        self._again.last_s = float("-inf")
        return venue

    def _open(self, row: int) -> VenueAccess:
        credentials = self.watch.current()
        if credentials.api_key_row != row:
            raise self.watch.trouble or CipherUnavailable("the key store does not answer")
        venue = open_venue(self.context.account_id, credentials=credentials)
        venue.gateway.key_info()  # proves that the venue knows it, before the old one is let go
        return venue

    def _tell(self, row: int, error: AviGridError) -> None:
        log.error("key_not_switched", code=error.code)
        now = self.context.now()
        alert_raise(
            kind="key_not_switched",
            severity="critical",
            dedupe_key=f"{self.context.account_id}:{row}:{error.code}:{now:%Y-%m-%d-%H}",
            sentence=f"The new key cannot be used yet ({error.code}); trading goes on with the old one.",
            now=now,
            code=error.code,
        )
