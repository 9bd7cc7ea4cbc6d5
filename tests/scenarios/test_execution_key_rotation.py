"""A key is rotated while plans are open: the trading process takes it over, or stays with the old one and says so."""

import pytest
from django.utils import timezone

from accounts.ciphers import Purpose, get_cipher
from accounts.ciphers.base import CipherUnavailable
from accounts.ciphers.local import LocalCipher
from accounts.models import ApiKey
from tests.support.trading_desk import TradingDesk
from trading.models import OutboxEvent, Plan, ReconciliationRun
from trading.runtime.execution import Exit
from trading.services.plan_commands import plan_close


def _rotate(desk: TradingDesk, secret: bytes = b"secret") -> ApiKey:
    """As the service leaves it: the old row put aside, a new one active."""
    ApiKey.objects.filter(active=True).update(active=False, deactivated_at=timezone.now())
    ciphertext = get_cipher(Purpose.EXCHANGE).encrypt(secret)
    return ApiKey.objects.create(account=desk.account, label="next", key_id="key", ciphertext=ciphertext)


def _look_again(desk: TradingDesk) -> None:
    execution = desk.execution
    assert execution is not None
    assert execution.key_switch is not None
    execution.key_switch._again.last_s = float("-inf")
    execution._timers.surroundings.last_s = float("-inf")
    execution.turn(wait_s=0.0)


def test_a_rotated_key_is_taken_over_while_a_plan_is_open(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    before, compared = execution.context.gateway, ReconciliationRun.objects.filter(scope="reconnect").count()
    key = _rotate(desk)
    desk.until(lambda: execution.venue.key_row == key.pk, what="switched")
    assert execution.context.gateway is execution.venue.gateway is not before
    assert execution.surroundings.venue is execution.venue
    desk.until(
        lambda: ReconciliationRun.objects.filter(scope="reconnect").count() > compared, what="compared afterwards"
    )
    assert execution.stream == "up"
    assert not execution._stopping
    desk.opened(symbol="BTCUSDT")
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed with the new key")
    desk.settle()
    desk.assert_books_equal_venue()
    assert len(desk.simulator.exchange.sessions) == 1  # the old private socket is gone


def test_a_rotated_key_that_does_not_work_leaves_the_old_one_trading(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vault away, then a secret the venue refuses: told once each, and the plan in the market is still looked after."""
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    old = execution.venue
    with monkeypatch.context() as patched:

        def away(*_: object) -> bytes:
            raise CipherUnavailable("sealed", code="vault_sealed")

        patched.setattr(LocalCipher, "decrypt", away)
        _rotate(desk)
        _look_again(desk)
        _look_again(desk)
    _rotate(desk, b"a mistyped one")
    _look_again(desk)
    _look_again(desk)
    assert execution.venue is old
    assert not execution._stopping
    told = OutboxEvent.objects.filter(kind="key_not_switched", severity="critical")
    assert sorted(row.payload["code"] for row in told) == ["key_invalid", "vault_sealed"]
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed with the old key")
    key = _rotate(desk)
    _look_again(desk)
    assert execution.venue.key_row == key.pk


def test_a_key_taken_away_ends_the_process(desk: TradingDesk) -> None:
    execution = desk.start()
    ApiKey.objects.update(active=False)
    desk.until(lambda: execution._stopping, what="ended")
    assert execution._exit is Exit.KEY_GONE
