"""Nothing in the repository looks like a credential. Tests and examples use words no machine accepts."""

import math
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = {".png", ".jpg", ".ico", ".woff2", ".mo", ".gz", ".zip", ".parquet", ".pdf"}

PATTERNS = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "cloud access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "code host token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{60,}\b|\bglpat-[\w-]{20}\b"),
    "chat token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{20,}\b|\b\d{9,10}:AA[\w-]{33}\b"),
    "vault token": re.compile(r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}\b"),
    "password in an address": re.compile(
        r"\b(?:postgres(?:ql)?|redis|amqp|https?)://[^\s:/@'\"{}$<]+:((?!password)[^\s@/'\"{}$<]{6,})@"
    ),
}
ASSIGNED = re.compile(
    r"""(?ix)\b[\w.-]*(?:secret|password|passwd|token|api[_-]?key|private[_-]?key)[\w.-]*\s*[:=]\s*["']([^"'\s]{20,})["']"""
)
HARMLESS = re.compile(r"[{}$<>\s]|test|demo|example|never", re.IGNORECASE)
ENTROPY_BITS = 4.0


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.suffix not in BINARY and path.is_file()]


def entropy_bits(text: str) -> float:
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def findings(text: str) -> list[str]:
    found = [f"{name}: {hit.group()[:24]}" for name, pattern in PATTERNS.items() for hit in pattern.finditer(text)]
    for hit in ASSIGNED.finditer(text):
        value = hit.group(1)
        mixed = any(mark.isdigit() for mark in value) and any(mark.isalpha() for mark in value)
        if (
            mixed
            and entropy_bits(value) >= ENTROPY_BITS
            and not re.search(r"[{}$<>\s]|test|demo|example|never", value, re.I)
        ):
            found.append(f"assigned: {hit.group()[:40]}")
    return found


def test_repository_holds_no_credential() -> None:
    wrong = []
    for path in tracked_files():
        if path == Path(__file__).resolve():
            continue
        text = path.read_text(errors="replace")
        wrong += [f"{path.relative_to(ROOT)}: {finding}" for finding in findings(text)]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE" + " KEY-----",
        "key = AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
        "DATABASE_URL=postgresql://user:hunter22secret" + "@db/main",
        'API_SECRET = "' + "q7Zt2Lw9Xc4Vb8Nm1Kp6Rs3" + '"',
        "VAULT_TOKEN: hvs." + "CAESIJ1234567890abcdefghijk",
    ],
)
def test_the_scan_finds_what_it_should(text: str) -> None:
    assert findings(text)


@pytest.mark.parametrize(
    "text",
    ['password = "correct horse 42 battery"', 'token = "{{ csrf_token }}"', 'secret = "only-for-tests-0123456789-abc"'],
)
def test_the_scan_leaves_examples_alone(text: str) -> None:
    assert not findings(text)
