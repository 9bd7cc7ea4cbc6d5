"""Tables of accounts. Other apps reach them through selectors and services; foreign keys are strings."""

from accounts.models.api_key import ApiKey, TradingAccount
from accounts.models.audit import AuditEntry, AuditHead, AuditLink
from accounts.models.device import RecoveryCode, TotpDevice
from accounts.models.idempotency import IdempotentCall
from accounts.models.link import OneTimeLink
from accounts.models.session import TokenFamily, UserSession
from accounts.models.user import User

__all__ = [
    "ApiKey",
    "AuditEntry",
    "AuditHead",
    "AuditLink",
    "IdempotentCall",
    "OneTimeLink",
    "RecoveryCode",
    "TokenFamily",
    "TotpDevice",
    "TradingAccount",
    "User",
    "UserSession",
]
