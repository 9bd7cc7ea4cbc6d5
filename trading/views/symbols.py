"""Symbols: the overview, one symbol's page, its chart as JSON, and why a bar gave no signal."""

import re
from datetime import UTC, datetime

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from trading.selectors import charts, decisions, symbols
from trading.views.frame import page

_SYMBOL = re.compile(r"[A-Z0-9]{2,32}")


@requires("market.read")
def symbols_page(request: HttpRequest) -> HttpResponse:
    return page(request, "trading/symbols.html", {"rows": symbols.symbol_rows()}, fragments=("symbols",))


@requires("market.read")
def symbol_page(request: HttpRequest, symbol: str) -> HttpResponse:
    _known(symbol)
    context: dict[str, object] = {
        "symbol": symbol,
        "symbols": symbols.watched(),
        "book": symbols.book_view(symbol),
        "forming": symbols.forming_bar(symbol),
        "decisions": decisions.decision_page(symbol=symbol, count=12).rows,
    }
    live = (f"book:{symbol}", f"decisions:{symbol}", f"tick:{symbol}", f"levels:{symbol}")
    return page(request, "trading/symbol.html", context, fragments=live)


@requires("market.read")
def symbol_chart(request: HttpRequest, symbol: str) -> JsonResponse:
    """`?end=<ms>`: bars that had closed by then, for scrolling back."""
    _known(symbol)
    account = primary_account()
    end = request.GET.get("end", "")
    end_ms = int(end) if end.isdecimal() and len(end) < 15 else None
    return JsonResponse(charts.chart(symbol, account.pk if account else None, end_ms=end_ms))


@requires("market.read")
def bar_rules(request: HttpRequest, symbol: str, bar_s: int) -> HttpResponse:
    """The rules of one bar with their values, as a piece of page."""
    _known(symbol)
    if not 0 < bar_s < 10_000_000_000:
        raise Http404
    bar_start = datetime.fromtimestamp(bar_s, UTC)
    view = decisions.decision_of_bar(symbol, bar_start)
    pairs = decisions.rule_pairs(view.decision) if view else []
    context = {"view": view, "pairs": pairs, "bar_start": bar_start, "symbol": symbol}
    return render(request, "trading/partials/_bar_rules.html", context)


@requires("market.read")
def decisions_page(request: HttpRequest) -> HttpResponse:
    chosen = {name: request.GET.get(name, "")[:40] for name in ("symbol", "status", "failed_rule", "until")}
    found = decisions.decision_page(
        symbol=chosen["symbol"],
        status=chosen["status"],
        failed_rule=chosen["failed_rule"],
        before=request.GET.get("before", "")[:40],
        until=_moment(chosen["until"]),
    )
    filters = "&".join(f"{name}={value}" for name, value in chosen.items() if _is_plain(value))
    context: dict[str, object] = {
        "found": found,
        "chosen": chosen,
        "filters": filters,
        "is_first": "before" not in request.GET,
        "symbols": symbols.watched(),
        "statuses": decisions.decision_statuses(),
        "rules": decisions.RULES,
    }
    return page(request, "trading/decisions.html", context, newer="decisions")


def _is_plain(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_:-]+", value) is not None


def _moment(text: str) -> datetime | None:
    """As the browser's field writes it; UTC."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _known(symbol: str) -> None:
    if not _SYMBOL.fullmatch(symbol) or not symbols.is_watched(symbol):
        raise Http404
