"""What the doctor says about facts: pure judgements, a sentence each and, where something is wrong, how to mend it.

Facts are found by `trading.runtime.doctor`; None stands for "could not be found out".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from avigrid.kernel.portfolio import KeyInfo

PYTHON_LEAST = (3, 12)
POSTGRES_LEAST = 140_000
REDIS_LEAST = (6, 2)
CLOCK_WARN_MS = 500
CLOCK_FAIL_MS = 1_000
EXPIRY_NEAR = timedelta(days=14)
SILENT_S = 30.0
RECONCILED_S = 120.0
GIB = 1024**3


class Level(StrEnum):
    OK = "ok"
    INFO = "info"
    SKIPPED = "skipped"
    WARN = "warn"
    FAIL = "fail"

    @property
    def exit_code(self) -> int:
        return {Level.WARN: 1, Level.FAIL: 2}.get(self, 0)


@dataclass(frozen=True, slots=True)
class Check:
    """`mend` is empty where there is nothing to do."""

    name: str
    level: Level
    sentence: str
    mend: str = ""


def exit_code(checks: Iterable[Check]) -> int:
    """0 good, 1 warnings, 2 something that keeps it from working."""
    return max((check.level.exit_code for check in checks), default=0)


def skipped(name: str, because: str) -> Check:
    return Check(name, Level.SKIPPED, f"Not examined: {because}.")


# -- the machine ------------------------------------------------------------------------------------------------------


def python_version(version: tuple[int, int, int]) -> Check:
    shown = ".".join(map(str, version))
    if version[:2] < PYTHON_LEAST:
        return Check("python", Level.FAIL, f"Python {shown} is too old.", "Install Python 3.12 or newer: make setup.")
    return Check("python", Level.OK, f"Python {shown}.")


def disk(what: str, free_bytes: int, total_bytes: int) -> Check:
    name, shown = f"disk:{what}", f"{free_bytes / GIB:.1f} GiB of {total_bytes / GIB:.0f} are free for {what}"
    mend = "Make room: old logs and archives first, then market data by retention."
    if free_bytes < GIB:
        return Check(name, Level.FAIL, f"Only {shown}.", mend)
    if free_bytes < 5 * GIB or free_bytes < total_bytes / 20:
        return Check(name, Level.WARN, f"Only {shown}.", mend)
    return Check(name, Level.OK, f"{shown}.")


def debug_mode(*, is_on: bool, is_demo: bool, environments: Sequence[str]) -> Check:
    """Neither belongs beside real money."""
    real = "mainnet" in environments
    if real and (is_on or is_demo):
        found = "DEBUG" if is_on else "The demo mode"
        return Check("mode", Level.FAIL, f"{found} is on and an account trades on mainnet.", "Run with settings.prod.")
    if is_on or is_demo:
        return Check("mode", Level.INFO, "Demo mode." if is_demo else "DEBUG is on.")
    return Check("mode", Level.OK, "Production mode.")


# -- servers ----------------------------------------------------------------------------------------------------------


def database_away(error: str) -> Check:
    return Check(
        "database",
        Level.FAIL,
        f"PostgreSQL does not answer ({error}).",
        "Start it, and compare DATABASE_URL with its address, database, user and password.",
    )


def database_version(version: int) -> Check:
    """`version` as the driver gives it: 150020 for 15.20."""
    shown = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    if version < POSTGRES_LEAST:
        return Check("database", Level.FAIL, f"{shown} is too old.", "Upgrade to PostgreSQL 14 or newer.")
    return Check("database", Level.OK, f"{shown} answers.")


def migrations(pending: Sequence[str]) -> Check:
    if pending:
        shown = ", ".join(pending[:3]) + (", ..." if len(pending) > 3 else "")
        sentence = f"{len(pending)} migrations are not applied ({shown})."
        return Check("migrations", Level.FAIL, sentence, "Run manage.py migrate.")
    return Check("migrations", Level.OK, "All migrations are applied.")


def timescale(version: str | None) -> Check:
    if version is None:
        return Check("timescale", Level.INFO, "No TimescaleDB: plain tables and nightly jobs do its work.")
    return Check("timescale", Level.INFO, f"TimescaleDB {version}.")


def connections(used: int, limit: int) -> Check:
    free = limit - used
    if free < 10:
        return Check(
            "connections",
            Level.WARN,
            f"Only {free} of {limit} database connections are free.",
            "Raise max_connections or put a pooler in front.",
        )
    return Check("connections", Level.OK, f"{free} of {limit} database connections are free.")


def redis_away(error: str) -> Check:
    return Check(
        "redis",
        Level.FAIL,
        f"Redis does not answer ({error}): no new risk is taken, exits go on.",
        "Start it, and compare REDIS_URL with its address and password.",
    )


def redis_version(version: str, policy: str) -> Check:
    """`policy`: its maxmemory-policy, "" where it does not tell."""
    try:
        numbers = tuple(int(part) for part in version.split(".")[:2])
    except ValueError:
        numbers = ()
    if numbers < REDIS_LEAST:
        return Check("redis", Level.FAIL, f"Redis {version} is too old.", "Upgrade to Redis 6.2 or Valkey 7.2.")
    if policy and policy != "noeviction":
        return Check(
            "redis",
            Level.WARN,
            f"Redis {version} may throw away queued jobs (maxmemory-policy {policy}).",
            "Set maxmemory-policy to noeviction.",
        )
    return Check("redis", Level.OK, f"Redis {version} answers.")


def cipher(purpose: str, *, works: bool, kind: str, sentence: str, environments: Sequence[str]) -> Check:
    name, sentence = f"cipher:{purpose}", f"Secrets of kind {purpose}: {sentence}"
    if not works:
        return Check(name, Level.FAIL, sentence, "Unseal Vault, renew its token, or set AVIGRID_LOCAL_CIPHER_KEY.")
    if kind == "local" and "mainnet" in environments:
        return Check(name, Level.FAIL, "The local cipher guards keys of mainnet.", "Use Vault (SECRETS_BACKEND).")
    return Check(name, Level.OK, sentence)


def mail(*, is_configured: bool, is_demo: bool, error: str) -> Check:
    """`error`: what the mail server answered, "" where it was not asked or is well."""
    if not is_configured:
        level = Level.INFO if is_demo else Level.WARN
        sentence = "No mail server is named: nobody can reset a password alone, admins hand links over in person."
        return Check("mail", level, sentence, "" if is_demo else "Set AVIGRID_EMAIL_HOST and what belongs to it.")
    if error:
        mend = "Compare AVIGRID_EMAIL_HOST, PORT, USER, PASSWORD and TLS with what your mail service says."
        return Check(
            "mail", Level.WARN, f"The mail server takes nothing ({error}): one-time links do not arrive.", mend
        )
    return Check("mail", Level.OK, "One-time links go out by mail.")


def proxies(*, are_named: bool, are_expected: bool, unnamed: str | None) -> Check:
    """`unnamed`: a near address that forwarded for others within a day and is not named."""
    mend = "Name its network in AVIGRID_TRUSTED_PROXIES."
    everybody = "everybody behind it counts as one address, for lockout, throttles and audit"
    if unnamed:
        sentence = f"{unnamed} forwards for others and is not named as a proxy: {everybody}."
        return Check("proxies", Level.WARN, sentence, mend)
    if are_expected and not are_named:
        return Check("proxies", Level.WARN, f"Production stands behind a proxy and none is named: {everybody}.", mend)
    return Check("proxies", Level.OK, "Proxies are named." if are_named else "No proxy stands in front.")


# -- the exchange -----------------------------------------------------------------------------------------------------


def exchange_away(environment: str, error: str) -> Check:
    return Check(
        f"exchange:{environment}",
        Level.FAIL,
        f"The {environment} exchange does not answer ({error}).",
        "Check network, proxy and firewall, and whether the exchange serves this country.",
    )


def clock_offset(environment: str, offset_ms: int) -> Check:
    """Exchange minus local; a simulated exchange keeps a time of its own."""
    name = f"exchange:{environment}"
    if environment == "simulated":
        return Check(name, Level.OK, "The simulated exchange answers; it keeps a time of its own.")
    sentence = f"The {environment} exchange answers; our clock is {abs(offset_ms)} ms off."
    mend = "Let chrony or systemd-timesyncd keep this machine's clock."
    if abs(offset_ms) > CLOCK_FAIL_MS:
        return Check(name, Level.FAIL, sentence + " Requests would be refused.", mend)
    if abs(offset_ms) > CLOCK_WARN_MS:
        return Check(name, Level.WARN, sentence, mend)
    return Check(name, Level.OK, sentence)


def symbols(wanted: Sequence[str], listed: Iterable[str]) -> Check:
    known = set(listed)
    missing = [symbol for symbol in wanted if symbol not in known]
    if not wanted or len(missing) == len(wanted):
        return Check("symbols", Level.FAIL, "None of the chosen symbols is listed.", "Correct AVIGRID_SYMBOLS.")
    if missing:
        sentence = f"Not listed and skipped: {', '.join(missing)}."
        return Check("symbols", Level.WARN, sentence, "Take them out of AVIGRID_SYMBOLS.")
    return Check("symbols", Level.OK, f"All {len(wanted)} chosen symbols are listed.")


def no_account() -> Check:
    return Check("account", Level.WARN, "There is no active trading account.", "Add one and its key in the admin.")


def no_key(account: str) -> Check:
    return Check(f"key:{account}", Level.FAIL, f"{account} has no active key.", "Add a key in the admin.")


def key(account: str, info: KeyInfo, now: datetime) -> list[Check]:
    """Everything that is wrong with it; one OK where nothing is."""
    name = f"key:{account}"
    found = []
    if info.can_withdraw:
        mend = "Delete it at the exchange, make one without Withdraw, and rotate to it."
        found.append(Check(name, Level.FAIL, f"The key of {account} may withdraw money.", mend))
    if info.read_only or not info.can_trade:
        mend = "Give it Contract orders and positions, or rotate to a key that has them."
        found.append(Check(name, Level.FAIL, f"The key of {account} may not trade.", mend))
    if not info.ip_bound:
        mend = "Bind it to this machine's addresses at the exchange."
        found.append(Check(name, Level.WARN, f"The key of {account} works from any address.", mend))
    if info.expires:
        found += _expiry(name, account, info.expires, now)
    return found or [Check(name, Level.OK, f"The key of {account} trades, cannot withdraw and is bound to addresses.")]


def _expiry(name: str, account: str, expires: str, now: datetime) -> list[Check]:
    try:
        end = datetime.fromisoformat(expires)
    except ValueError:
        return []
    end = end if end.tzinfo else end.replace(tzinfo=now.tzinfo)
    if end <= now:
        return [Check(name, Level.FAIL, f"The key of {account} has expired.", "Rotate to a new key.")]
    if end - now < EXPIRY_NEAR:
        days = (end - now).days
        return [Check(name, Level.WARN, f"The key of {account} expires in {days} days.", "Rotate to a new key.")]
    return []


def position_mode(account: str, *, wants_hedge: bool, rows_of_a_symbol: int) -> Check:
    """Two rows a symbol mean hedge mode, one means one-way."""
    name = f"position_mode:{account}"
    wanted, found = ("hedge" if wants_hedge else "one-way"), ("hedge" if rows_of_a_symbol > 1 else "one-way")
    if wanted != found:
        return Check(
            name,
            Level.WARN,
            f"{account} is in {found} mode, {wanted} is wanted.",
            "The execution process switches it at its start, once no position or order is open.",
        )
    return Check(name, Level.OK, f"{account} is in {found} mode.")


# -- our own processes ------------------------------------------------------------------------------------------------


def heartbeat(process: str, age_s: float | None, command: str) -> Check:
    name = f"process:{process}"
    if age_s is None:
        return Check(name, Level.WARN, f"{process} was never seen.", f"Start it: {command}.")
    if age_s > SILENT_S:
        return Check(name, Level.FAIL, f"{process} has been silent for {age_s:.0f} s.", f"Start it again: {command}.")
    return Check(name, Level.OK, f"{process} spoke {age_s:.0f} s ago.")


def reconciliation(account: str, age_s: float | None) -> Check:
    name = f"reconciliation:{account}"
    mend = "Run manage.py reconcile and read what it finds."
    if age_s is None:
        return Check(name, Level.WARN, f"{account} was never reconciled.", mend)
    if age_s > RECONCILED_S:
        return Check(name, Level.FAIL, f"{account} was last reconciled {age_s:.0f} s ago; no new risk.", mend)
    return Check(name, Level.OK, f"{account} was reconciled {age_s:.0f} s ago.")


def strategy(version: str | None) -> Check:
    if version is None:
        return Check("strategy", Level.WARN, "No strategy version is active: nothing is decided.", "Activate one.")
    return Check("strategy", Level.OK, f"{version} is active.")


def research(*, is_on: bool, workers: int, waiting: int) -> Check:
    """`workers`: how many answered that they serve the queue `research`; `waiting`: messages in it."""
    if not is_on:
        return Check("research", Level.INFO, "Research is switched off here (AVIGRID_RESEARCH).")
    if not workers:
        sentence = f"No worker serves the queue research; {waiting} messages wait in it."
        mend = "Start one, on any machine: celery -A avigrid worker -Q research. Or set AVIGRID_RESEARCH=false."
        return Check("research", Level.WARN, sentence, mend)
    return Check("research", Level.OK, f"{workers} workers serve the queue research.")


def notifications(channels: int, pending: int, oldest_s: float) -> Check:
    if not channels:
        mend = "Add a notification channel in the admin."
        return Check("notifications", Level.WARN, "Nobody is told of alerts outside the pages.", mend)
    if pending and oldest_s > 300:
        return Check(
            "notifications",
            Level.WARN,
            f"{pending} messages wait, the oldest for {oldest_s / 60:.0f} min.",
            "Look at the outbox in the admin: it shows what each receiver answered.",
        )
    return Check("notifications", Level.OK, f"{channels} channels; {pending} messages wait.")
