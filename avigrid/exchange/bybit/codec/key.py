"""What the venue says about an API key."""

from collections.abc import Mapping

import msgspec

from avigrid.exchange.bybit.codec.fields import read, result_of
from avigrid.kernel.portfolio import KeyInfo

_NEVER = "1970-01-01"


class KeyRow(
    msgspec.Struct,
    rename={"read_only": "readOnly", "user_id": "userID", "expired_at": "expiredAt"},
):
    read_only: int
    permissions: dict[str, list[str] | None]
    ips: list[str] | None = None
    user_id: int | str = ""
    expired_at: str = ""


def key_info_of_reply(reply: Mapping[str, object]) -> KeyInfo:
    row = read(result_of(reply), KeyRow)
    contract = row.permissions.get("ContractTrade") or []
    return KeyInfo(
        read_only=row.read_only != 0,
        can_trade=row.read_only == 0 and {"Order", "Position"} <= set(contract),
        can_withdraw="Withdraw" in (row.permissions.get("Wallet") or []),
        ip_bound=any(ip and ip != "*" for ip in row.ips or []),
        user_id=str(row.user_id),
        expires="" if row.expired_at.startswith(_NEVER) else row.expired_at,
    )
