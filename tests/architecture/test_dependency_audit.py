"""`make audit`: an advisory fails, an exception needs a reason and runs out, and silence is never taken for health."""

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 1, 15)


def load() -> Any:
    spec = importlib.util.spec_from_file_location("audit_dependencies", ROOT / "deploy" / "audit_dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


audit = load()
ADVISORY = {"id": "PYSEC-2026-7", "aliases": ["CVE-2026-0007"], "fix_versions": ["1.3"], "description": "bad"}


def answer(*vulns: dict[str, Any]) -> Any:
    packages = [
        {"name": "good", "version": "2.0", "vulns": []},
        {"name": "weak", "version": "1.2", "vulns": list(vulns)},
        {"name": "private", "skip_reason": "Dependency not found on PyPI"},
    ]
    return audit.read_answer(json.dumps({"dependencies": packages, "fixes": []}))


def excuse(until: str, *, advisory: str = "CVE-2026-0007", package: str = "weak") -> Any:
    text = f'[[ignore]]\nid = "{advisory}"\npackage = "{package}"\nreason = "not called"\nuntil = {until}\n'
    return audit.read_exceptions(text)


def test_nothing_found_passes_and_names_what_nobody_looked_at() -> None:
    code, lines = audit.verdict(answer(), [], today=TODAY)
    assert code == 0
    assert lines == ["2 pinned packages audited, 0 advisories", "the service knows nothing about 1: private"]


def test_an_advisory_fails_and_names_its_mend() -> None:
    code, lines = audit.verdict(answer(ADVISORY), [], today=TODAY)
    assert code == 1
    assert lines[0] == "vulnerable: weak 1.2: CVE-2026-0007, PYSEC-2026-7 (fixed in 1.3)"


@pytest.mark.parametrize(
    ("excuses", "expected"),
    [
        (excuse("2026-01-15"), 0),
        (excuse("2026-01-14"), 1),
        (excuse("2026-12-31", package="other"), 1),
        (excuse("2026-12-31", advisory="CVE-2026-0008"), 1),
    ],
    ids=["last day", "ran out", "another package", "another advisory"],
)
def test_exceptions_hold_for_one_advisory_until_their_day(excuses: Any, expected: int) -> None:
    assert audit.verdict(answer(ADVISORY), excuses, today=TODAY)[0] == expected


def test_an_exception_without_a_reason_is_none() -> None:
    with pytest.raises(ValueError, match="without a reason"):
        audit.read_exceptions('[[ignore]]\nid = "X-1"\npackage = "p"\nreason = " "\nuntil = 2026-01-01\n')
    with pytest.raises(KeyError):
        audit.read_exceptions('[[ignore]]\nid = "X-1"\npackage = "p"\nreason = "r"\n')
    audit.read_exceptions((ROOT / "requirements" / "audit-ignore.toml").read_text())


class OsvStandIn(BaseHTTPRequestHandler):
    """Speaks OSV's query call: one advisory against Django, nothing against the rest."""

    status = 200

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = asked["package"]["name"].lower()
        affected = {
            "package": {"name": package, "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
        entry = {"id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2026-0001"], "summary": "bad", "affected": [affected]}
        body = json.dumps({"vulns": [entry]} if package == "django" else {}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[OsvStandIn]]:
    handler = type("Handler", (OsvStandIn,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AVIGRID_OSV_URL", f"http://127.0.0.1:{server.server_address[1]}/v1/query")
    monkeypatch.setattr(audit, "SERVICES", ("osv",))
    yield handler
    server.shutdown()
    server.server_close()


def test_the_real_tool_against_a_stand_in(osv: type[OsvStandIn], capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main() == 1
    said = capsys.readouterr().out
    assert "vulnerable: django " in said
    assert "CVE-2026-0001" in said
    assert "fixed in 99.1" in said


def test_nobody_to_ask_is_skipped_aloud(
    osv: type[OsvStandIn], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    osv.status = 503
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith("skipped: ")
    monkeypatch.setenv("AVIGRID_OSV_URL", "http://127.0.0.1:1/v1/query")
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith("skipped: ")


def test_a_broken_audit_is_no_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "constraints.txt").write_text("this is ] no requirement\n")
    (tmp_path / "audit-ignore.toml").write_text("")
    monkeypatch.setattr(audit, "REQUIREMENTS", tmp_path)
    assert audit.main() == 2
    assert "pip-audit failed" in capsys.readouterr().out


def test_ci_runs_it() -> None:
    recipe = (ROOT / "Makefile").read_text()
    assert " audit" in next(line for line in recipe.splitlines() if line.startswith("test:")).split("##")[0]
    assert "make test" in (ROOT / ".ci" / "run").read_text()
