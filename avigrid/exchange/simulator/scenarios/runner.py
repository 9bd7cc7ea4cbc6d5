"""Runs one scenario: steps the clock, does what is due, and says for each check whether it held."""

import os
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from avigrid.exchange.simulator.exchange import ExchangeConfig
from avigrid.exchange.simulator.faults import BadFault
from avigrid.exchange.simulator.feed import Source
from avigrid.exchange.simulator.inprocess import LocalExchange, NoAnswer
from avigrid.exchange.simulator.scenarios.document import BadScenario, Check, Scenario, Step
from avigrid.exchange.simulator.scenarios.outcome import Finding, Outcome
from avigrid.exchange.simulator.scenarios.views import UnknownView, Views, dig
from avigrid.exchange.simulator.sources.opening import open_source
from avigrid.exchange.simulator.sources.path import PathSource

Row = dict[str, Any]
_PATHS = {
    "order": "/v5/order/create",
    "amend": "/v5/order/amend",
    "cancel": "/v5/order/cancel",
    "stop": "/v5/position/trading-stop",
    "leverage": "/v5/position/set-leverage",
}


def run(scenario: Scenario) -> Outcome[Scenario]:
    """Deterministic: the same file gives the same outcome. BadScenario where a step cannot be done at all."""
    return _Run(scenario).outcome()


class _Run:
    def __init__(self, scenario: Scenario) -> None:
        boot = scenario.boot
        self._scenario = scenario
        config = ExchangeConfig(
            balance_usdt=boot.balance_usdt,
            hedge=boot.hedge,
            leverage=boot.leverage,
            orders_per_s=boot.orders_per_s,
            seed=boot.seed,
        )
        source = self._source()
        self._exchange = LocalExchange(source, config)
        self._start_ms = source.start_ms
        self._views = Views(self._exchange, start_ms=source.start_ms)
        self._outcome = Outcome(scenario)

    def _source(self) -> Source:
        scenario, boot = self._scenario, self._scenario.boot
        try:
            if boot.lines:
                return PathSource(boot.lines, start_ms=boot.start_ms, seed=boot.seed)
            text = "synthetic"
            if boot.replay:
                place = os.path.expandvars(boot.replay)
                text = f"replay:{(scenario.path.parent / place).resolve()}"
            return open_source(
                text,
                symbols=boot.symbols,
                seed=boot.seed,
                start_ms=boot.start_ms if boot.has_start or not boot.replay else None,
            )
        except ValueError as error:
            raise BadScenario(f"{scenario.path}: boot: {error}") from error

    def outcome(self) -> Outcome[Scenario]:
        for step in self._scenario.steps:
            self._go_to(step.at_ms)
            try:
                self._do(step)
            except (BadFault, UnknownView, KeyError, TypeError, ValueError) as error:
                reason = f"{type(error).__name__} {error}" if isinstance(error, KeyError | TypeError) else str(error)
                raise BadScenario(f"{self._scenario.path}: {step.place}: {reason}") from error
        self._go_to(self._scenario.end_ms)
        for check in self._scenario.checks:
            self._judge(check, "checks")
        return self._outcome

    def _go_to(self, at_ms: int) -> None:
        """Calls may have taken time themselves (latency); a step that is late by then happens at once."""
        left_ms = self._start_ms + at_ms - self._exchange.now_ms
        if left_ms > 0:
            self._exchange.step(left_ms)

    # -- steps ------------------------------------------------------------------------------------------------

    def _do(self, step: Step) -> None:
        body = step.body
        if step.action == "check":
            for check in body:
                self._judge(check, step.place)
        elif step.action == "fault":
            self._exchange.exchange.add_fault(
                str(body["name"]),
                params=body.get("params"),
                count=body.get("count"),
                for_s=body.get("for_s"),
                match=body.get("match"),
                skip=body.get("skip", 0),
            )
            self._exchange.collect()
        elif step.action == "clear":
            name = str(body)
            self._exchange.exchange.house.faults.remove(name=None if name == "all" else name)
        elif step.action == "market":
            self._market(body)
        elif step.action == "connect":
            self._connect(body)
        elif step.action == "send":
            socket = self._views.sockets[str(body["socket"])]
            socket.send(dict(body["message"]))
        else:
            self._call(step)

    def _market(self, body: Row) -> None:
        mischief = self._exchange.exchange.mischief
        symbol = str(body["symbol"])
        if body["action"] == "price_jump":
            mischief.jump(symbol, Decimal(str(body["pct"])) / 100, over_ms=int(body.get("over_ms", 0)))
        elif body["action"] == "foreign_order":
            price = str(body.get("price", ""))
            mischief.foreign_order(symbol, str(body["side"]), str(body["qty"]), price)
        elif body["action"] == "foreign_position":
            mischief.foreign_position(symbol, str(body["side"]), str(body["qty"]))
        else:
            raise ValueError(f"action must be price_jump, foreign_order or foreign_position, got {body['action']!r}")
        self._exchange.exchange.publish()
        self._exchange.collect()

    def _connect(self, body: Row) -> None:
        topics = [str(topic) for topic in body.get("topics", [])]
        kind = body.get("to", "private")
        if kind == "private":
            socket = self._exchange.private(*topics)
        elif kind == "public":
            socket = self._exchange.public(*topics)
        else:
            raise ValueError(f"a socket goes to private or public, got {kind!r}")
        self._views.sockets[str(body.get("socket", kind))] = socket

    def _call(self, step: Step) -> None:
        if step.action == "cancel_all":
            body: Row = {"symbol": step.body} if isinstance(step.body, str) else {"settleCoin": "USDT"}
            path, method, expect, save, repeat = "/v5/order/cancel-all", "POST", {"retCode": 0}, {}, 1
        else:
            body = dict(step.body)
            expect = body.pop("expect", {"retCode": 0})
            save = body.pop("save", {})
            repeat = int(body.pop("repeat", 1))
            method, path = "POST", _PATHS.get(step.action, "")
            if step.action == "call":
                method, path, body = str(body["method"]), str(body["path"]), dict(body.get("params", {}))
        params = _plain_params(step.action, body, self._views)
        for number in range(repeat):
            numbered = {key: _numbered(value, number) for key, value in params.items()}
            self._send_one(step, method, path, numbered, expect, save)

    def _send_one(
        self, step: Step, method: str, path: str, params: Row, expect: object, save: Mapping[str, str]
    ) -> None:
        title = f"{step.place}: {step.action} {params.get('orderLinkId') or path}"
        try:
            answer: Row = self._exchange.call(method, path, params)
        except NoAnswer as error:
            self._note(f"{title} gets no answer", held=expect == "no_answer", found=str(error))
            return
        if expect == "no_answer":
            self._note(f"{title} gets no answer", held=False, found=f"retCode {answer['retCode']}")
            return
        if not isinstance(expect, dict):
            raise ValueError(f"expect must be a mapping or no_answer, got {expect!r}")
        for name, wanted in expect.items():
            found = dig(answer, str(name).split("."))
            note = f"{found!r} ({answer.get('retMsg', '')})"
            self._note(f"{title}: {name} is {wanted}", held=_compare("is", found, wanted, None), found=note)
        for name, where in save.items():
            self._views.saved[name] = dig(answer, str(where).split("."))

    # -- checks -----------------------------------------------------------------------------------------------

    def _judge(self, check: Check, place: str) -> None:
        try:
            found = self._views.value(check.that)
        except (UnknownView, KeyError, IndexError) as error:
            raise BadScenario(f"{self._scenario.path}: {place}: {check.that}: {error}") from error
        wanted = check.value
        if isinstance(wanted, str) and wanted.startswith("$"):
            wanted = self._views.value(wanted[1:])
        held = _compare(check.how, found, wanted, check.within)
        self._note(check.says or str(check), held=held, found=f"{check.that} = {found!r}")

    def _note(self, text: str, *, held: bool, found: str) -> None:
        second = Decimal(self._exchange.now_ms - self._start_ms) / 1_000
        self._outcome.findings.append(Finding(second, text, held, found))


def _plain_params(action: str, body: Row, views: Views) -> Row:
    """Short forms: category linear, numbers as text, a price makes a limit order; `$saved.x` is what a step kept."""
    params: Row = {}
    for key, value in body.items():
        if isinstance(value, str) and value.startswith("$"):
            value = views.value(value[1:])
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        keeps = key in ("positionIdx", "triggerDirection", "limit", "mode", "tradeMode")
        params[key] = str(value) if is_number and not keeps else value
    if action in _PATHS or action == "cancel_all":
        params.setdefault("category", "linear")
    if action == "order":
        params.setdefault("orderType", "Limit" if "price" in params else "Market")
    elif action == "stop":
        params.setdefault("positionIdx", 0)
        params.setdefault("tpslMode", "Full")
    elif action == "leverage" and "leverage" in params:
        leverage = params.pop("leverage")
        params |= {"buyLeverage": leverage, "sellLeverage": leverage}
    return params


def _numbered(value: object, number: int) -> object:
    return value.replace("{n}", str(number)) if isinstance(value, str) else value


def _compare(how: str, found: object, wanted: object, within: Decimal | None) -> bool:
    if how == "exists":
        return (found is not None and found != "") is bool(wanted)
    if how == "contains":
        return str(wanted) in str(found)
    left, right = _number(found), _number(wanted)
    if how in ("is", "is_not"):
        if left is not None and right is not None and not isinstance(wanted, bool):
            same = left == right
        else:
            same = found == wanted or str(found) == str(wanted)
        return same if how == "is" else not same
    if left is None or right is None:
        return False
    if how == "near":
        return abs(left - right) <= (within or 0)
    return {
        "above": left > right,
        "below": left < right,
        "at_least": left >= right,
        "at_most": left <= right,
    }[how]


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
