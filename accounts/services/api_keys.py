"""Exchange keys: added after a trial call, rotated, and opened only by processes that talk to the exchange."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.ciphers import Purpose, get_cipher
from accounts.ciphers.base import CipherError
from accounts.core.context import inside_request
from accounts.models import ApiKey, TradingAccount, User
from accounts.selectors.trading_accounts import active_key_id
from accounts.services.audit import audit
from avigrid.common.logging import hide_value
from avigrid.kernel.errors import AviGridError, Bug, OperatorNeeded, Rejected
from avigrid.kernel.portfolio import KeyInfo


@dataclass(frozen=True, slots=True)
class Credentials:
    """Lives in memory of the process that signs requests, nowhere else. `api_key_row` tells a rotation."""

    api_key_row: int
    key_id: str
    secret: str = field(repr=False)


TrialCall = Callable[[TradingAccount, Credentials], KeyInfo]
"""Asks the venue about the key (OrderGateway.key_info of a gateway made for this account)."""


@dataclass(frozen=True, slots=True)
class KeyAdded:
    key: ApiKey
    warnings: tuple[str, ...]
    """Codes: `key_without_ip`, `key_read_only`, `key_expires`."""


@sensitive_variables("secret")
def api_key_add(
    *,
    account: TradingAccount,
    label: str,
    key_id: str,
    secret: str,
    trial: TrialCall,
    actor: User | str,
    otp_used: bool = False,
) -> KeyAdded:
    """Try the key at the venue, then store it encrypted.

    Raises Rejected: `key_can_withdraw`, `account_has_key` (rotate instead), `local_cipher_mainnet`,
    `key_of_another_user`, and whatever the trial call raises. A refusal is audited, too.
    """
    with _refusals_audited(account, actor, otp_used):
        if active_key_id(account.pk) is not None:
            raise Rejected("This account has an active key; rotate it instead.", code="account_has_key")
        return _store(account, label, key_id, secret, trial, actor, otp_used, action="key.added")


@sensitive_variables("secret")
def api_key_rotate(
    *,
    account: TradingAccount,
    label: str,
    key_id: str,
    secret: str,
    trial: TrialCall,
    actor: User | str,
    otp_used: bool = False,
) -> KeyAdded:
    """A new row becomes the active one; running processes notice and switch. The old key stays as it is at the venue.

    Raises also Rejected `key_of_another_user`: positions of the old key would vanish from view.
    """
    with _refusals_audited(account, actor, otp_used):
        return _store(account, label, key_id, secret, trial, actor, otp_used, action="key.rotated")


def api_key_deactivate(*, key: ApiKey, actor: User | str, reason: str = "", otp_used: bool = False) -> bool:
    """False where it was inactive already. The execution process stops trading when no key is active."""
    with transaction.atomic():
        changed = ApiKey.objects.filter(pk=key.pk, active=True).update(active=False, deactivated_at=timezone.now())
        if changed != 1:
            return False
        audit(
            actor=actor,
            action="key.deactivated",
            obj=key,
            before={"active": True},
            after={"active": False},
            reason=reason,
            otp_used=otp_used,
        )
    return True


@sensitive_variables()
def api_key_credentials(account: TradingAccount, *, process: str = "execution") -> Credentials:
    """Decrypt the active key of `account`. For processes that sign requests; refused inside a web request.

    Raises OperatorNeeded `no_api_key`, CipherError.
    """
    if inside_request():
        raise Bug("a web request must not open an exchange key", code="decryption_in_web")
    key = ApiKey.objects.filter(account_id=account.pk, active=True).first()
    if key is None:
        raise OperatorNeeded(f"The account {account.label} has no active key: add one.", code="no_api_key")
    secret = get_cipher(Purpose.EXCHANGE).decrypt(key.ciphertext).decode()
    hide_value(secret)
    with transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
        audit(actor=process, action="key.used", obj=key)
    return Credentials(api_key_row=key.pk, key_id=key.key_id, secret=secret)


class CredentialWatch:
    """Keeps a process on the key in use: reads it once, again after a rotation, and goes on with what it holds while
    the cipher is away or refuses: an expired token is no reason to lose a key that works."""

    def __init__(self, account: TradingAccount, *, process: str = "execution") -> None:
        self._account = account
        self._process = process
        self._held: Credentials | None = None
        self.trouble: CipherError | None = None
        """Why the key held is not the one in use."""

    def current(self) -> Credentials:
        """Raises OperatorNeeded `no_api_key` once the key was deactivated, CipherError where nothing is held yet."""
        row = active_key_id(self._account.pk)
        if self._held is not None and self._held.api_key_row == row:
            return self._held
        try:
            self._held = api_key_credentials(self._account, process=self._process)
        except CipherError as error:
            if self._held is None or row is None:
                raise
            self.trouble = error
        else:
            self.trouble = None
        return self._held


@contextmanager
def _refusals_audited(account: TradingAccount, actor: User | str, otp_used: bool) -> Iterator[None]:
    """A key that may withdraw is worth a question also when it was not stored."""
    try:
        yield
    except AviGridError as error:
        audit(actor=actor, action="key.refused", obj=account, after={"code": error.code}, otp_used=otp_used)
        raise


@sensitive_variables("secret", "credentials")
def _store(
    account: TradingAccount,
    label: str,
    key_id: str,
    secret: str,
    trial: TrialCall,
    actor: User | str,
    otp_used: bool,
    *,
    action: str,
) -> KeyAdded:
    hide_value(secret)
    cipher = get_cipher(Purpose.EXCHANGE)
    if account.environment == TradingAccount.Environment.MAINNET and cipher.name == "local":
        sentence = "The local cipher keeps its key beside the data: a key of mainnet needs Vault."
        raise Rejected(sentence, code="local_cipher_mainnet")
    credentials = Credentials(api_key_row=0, key_id=key_id, secret=secret)
    info = trial(account, credentials)
    if info.can_withdraw:
        raise Rejected(
            "This key may withdraw. Make one that cannot, at the exchange, and add that.", code="key_can_withdraw"
        )
    ciphertext = cipher.encrypt(secret.encode())
    read_only = info.read_only or not info.can_trade
    try:
        with transaction.atomic():
            old = ApiKey.objects.select_for_update().filter(account=account, active=True).first()
            _refuse_other_user(account, info)
            if old is not None:
                if action == "key.added":
                    raise Rejected("This account has an active key; rotate it instead.", code="account_has_key")
                ApiKey.objects.filter(pk=old.pk).update(active=False, deactivated_at=timezone.now())
            key = ApiKey.objects.create(
                account=account,
                label=label,
                key_id=key_id,
                ciphertext=ciphertext,
                permissions={
                    "trade": info.can_trade,
                    "withdraw": False,
                    "user_id": info.user_id,
                    "expires": info.expires,
                },
                read_only=read_only,
                ip_bound=info.ip_bound,
                created_by=actor if isinstance(actor, User) else None,
            )
            audit(
                actor=actor,
                action=action,
                obj=key,
                before={"key": old.pk} if old else None,
                after={"account": account.pk, "read_only": read_only, "ip_bound": info.ip_bound},
                otp_used=otp_used,
            )
    except IntegrityError:
        raise Rejected("Another key was made active at the same moment.", code="account_has_key") from None
    return KeyAdded(key=key, warnings=_warnings(info, read_only))


def _refuse_other_user(account: TradingAccount, info: KeyInfo) -> None:
    """An account is one user of the exchange for life: its plans, fills and equity are theirs, also while no key is
    active. Only a key that was put aside before any process opened it binds to nothing."""
    bound = ApiKey.objects.filter(account=account).filter(Q(active=True) | Q(last_used_at__isnull=False))
    known = (permissions.get("user_id") for permissions in bound.order_by("-pk").values_list("permissions", flat=True))
    before = next((user_id for user_id in known if user_id), "")
    if before and info.user_id and before != info.user_id:
        raise Rejected("The new key belongs to another user of the exchange.", code="key_of_another_user")


def _warnings(info: KeyInfo, read_only: bool) -> tuple[str, ...]:
    codes = []
    if not info.ip_bound:
        codes.append("key_without_ip")
    if read_only:
        codes.append("key_read_only")
    if info.expires:
        codes.append("key_expires")
    return tuple(codes)
