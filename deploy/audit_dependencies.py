"""Known vulnerabilities of the pinned versions: pip-audit with an answer that CI can trust.

    python deploy/audit_dependencies.py

Exit code 0: no advisory speaks against what is pinned, or nobody could be asked, which is said in a line that begins
with `skipped:`. 1: there is an advisory (or an exception of requirements/audit-ignore.toml ran out). 2: the audit
itself is broken. Two services are asked in turn, because not every network reaches both; AVIGRID_OSV_URL names a mirror
of the second.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
SERVICES = ("pypi", "osv")
TIMEOUT_S = 120
UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ServiceError", "Could not connect", "HTTPError")


@dataclass(frozen=True, slots=True)
class Excuse:
    """An advisory we live with for a while."""

    advisory: str
    package: str
    until: date


@dataclass(frozen=True, slots=True)
class Found:
    package: str
    version: str
    names: frozenset[str]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        mend = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fix yet"
        return f"{self.package} {self.version}: {', '.join(sorted(self.names))} ({mend})"


@dataclass(frozen=True, slots=True)
class Answer:
    """`audited`: packages the service knows; the rest it could not speak about."""

    audited: int
    unknown: tuple[str, ...]
    found: tuple[Found, ...]


class Unreachable(Exception):
    pass


def read_answer(text: str) -> Answer:
    packages = json.loads(text)["dependencies"]
    found = [
        Found(
            package=package["name"],
            version=package["version"],
            names=frozenset({entry["id"], *entry.get("aliases", ())}),
            fixed_in=tuple(entry.get("fix_versions", ())),
        )
        for package in packages
        for entry in package.get("vulns", ())
    ]
    unknown = tuple(package["name"] for package in packages if "skip_reason" in package)
    return Answer(len(packages) - len(unknown), unknown, tuple(found))


def read_exceptions(text: str) -> list[Excuse]:
    """Every one needs an id, a package, a reason and a day; one that lacks any is a KeyError."""
    entries = []
    for entry in tomllib.loads(text).get("ignore", ()):
        if not entry["reason"].strip():
            raise ValueError(f"{entry['id']} is ignored without a reason")
        entries.append(Excuse(entry["id"], entry["package"], entry["until"]))
    return entries


def verdict(answer: Answer, exceptions: Sequence[Excuse], *, today: date) -> tuple[int, list[str]]:
    """Exit code and what to say."""
    lines, code = [], 0
    for found in answer.found:
        excused = [e for e in exceptions if e.package == found.package and e.advisory in found.names]
        if excused and max(e.until for e in excused) >= today:
            lines.append(f"ignored until {max(e.until for e in excused)}: {found}")
            continue
        lines.append(f"the exception ran out: {found}" if excused else f"vulnerable: {found}")
        code = 1
    lines.append(f"{answer.audited} pinned packages audited, {len(answer.found)} advisories")
    if answer.unknown:
        lines.append(f"the service knows nothing about {len(answer.unknown)}: {', '.join(answer.unknown)}")
    return code, lines


def ask(service: str) -> Answer:
    """Raises Unreachable where the service cannot be asked, or speaks for no package at all."""
    pins = str(REQUIREMENTS / "constraints.txt")
    command = [sys.executable, "-m", "pip_audit", "-r", pins, "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    command += ["-s", service, "-f", "json"]
    if service == "osv" and (mirror := os.environ.get("AVIGRID_OSV_URL")):
        command += ["--osv-url", mirror]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{service} did not answer within {TIMEOUT_S} s") from None
    if not done.stdout.startswith("{"):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        if any(word in done.stderr for word in UNREACHABLE):
            raise Unreachable(f"{service} cannot be reached ({last[:160]})")
        raise RuntimeError(f"pip-audit failed: {last}")
    answer = read_answer(done.stdout)
    if answer.audited == 0:
        raise Unreachable(f"{service} knows none of the {len(answer.unknown)} packages (a mirror without advisories?)")
    return answer


def main() -> int:
    say = sys.stdout.write
    exceptions = read_exceptions((REQUIREMENTS / "audit-ignore.toml").read_text())
    refusals: list[str] = []
    for service in SERVICES:
        try:
            answer = ask(service)
        except Unreachable as refusal:
            refusals.append(str(refusal))
            continue
        except RuntimeError as fault:
            say(f"{fault}\n")
            return 2
        code, lines = verdict(answer, exceptions, today=datetime.now(UTC).date())
        say("".join(f"{line}\n" for line in lines))
        return code
    say(f"skipped: no advisories to be had here; {'; '.join(refusals)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
