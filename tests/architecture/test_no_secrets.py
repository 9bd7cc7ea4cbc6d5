"""Nothing in the repository, nor in its history, looks like a credential. Examples use words no machine accepts.

Looked at: every tracked file as it is now, and every version of every file that any commit ever held.
"""

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 2_000_000

PATTERNS = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "cloud access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "code host token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{60,}\b|\bglpat-[\w-]{20}\b"),
    "chat token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{20,}\b|\b\d{9,10}:AA[\w-]{33}\b"),
    "vault token": re.compile(r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}\b"),
    "web token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    "password in an address": re.compile(
        r"\b(?:postgres(?:ql)?|redis|amqp|https?)://[^\s:/@'\"{}$<]+:((?!password)[^\s@/'\"{}$<]{6,})@"
    ),
}
WORD = re.compile(r"(?i)secret|passw(?:or)?d|token|key")
# `name = "value"`, `NAME: value`, `-e NAME=value`, `"name": "value"`: quoted or not, as code, YAML and shells write it
ASSIGNED = re.compile(r"""(?<![\w.-])([\w.-]{2,60})["']?\s*[:=]\s*["']?([A-Za-z0-9+/_=-]{18,200})(?![\w(.\[])""")
HARMLESS = re.compile(r"test|demo|example|never|sha(?:256|512)|sample", re.IGNORECASE)
# random letters and digits reach 90 % of what their length allows; names made of words do not have digits strewn in
RANDOMNESS = 0.85


def looks_random(value: str) -> bool:
    digits = sum(mark.isdigit() for mark in value)
    counts = Counter(value)
    bits = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    return (
        digits >= 2
        and any(mark.isalpha() for mark in value)
        and len(re.findall(r"(?<=[A-Za-z])\d|\d(?=[A-Za-z])", value)) >= 3
        and bits >= RANDOMNESS * min(math.log2(len(value)), math.log2(62))
    )


def findings(text: str) -> list[str]:
    found = [f"{name}: {hit.group()[:24]}" for name, pattern in PATTERNS.items() for hit in pattern.finditer(text)]
    for line in text.splitlines():
        if len(line) > 4000 or not WORD.search(line):
            continue
        for hit in ASSIGNED.finditer(line):
            name, value = hit.groups()
            if WORD.search(name) and not HARMLESS.search(value) and looks_random(value):
                found.append(f"assigned: {hit.group()[:60]}")
    return found


def git(*arguments: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, input=given, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout


def text_of(raw: bytes) -> str | None:
    """None for what is not text."""
    return None if len(raw) > MAX_BYTES or b"\0" in raw[:8000] else raw.decode(errors="replace")


def tracked_files() -> Iterator[tuple[str, str]]:
    for name in git("ls-files", "-z").decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and (text := text_of(path.read_bytes())) is not None:
            yield name, text


def every_version() -> Iterator[tuple[str, str]]:
    """(path at its first sight, text) of each blob reachable from any ref."""
    names = dict(
        line.split(" ", 1) for line in git("rev-list", "--objects", "--all").decode().splitlines() if " " in line
    )
    packed = git("cat-file", "--batch", given="\n".join(names).encode() + b"\n")
    at = 0
    while at < len(packed):
        end = packed.index(b"\n", at)
        object_id, kind, size = packed[at:end].decode().split()
        raw = packed[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
        if kind == "blob" and (text := text_of(raw)) is not None:
            yield names[object_id], text


def test_repository_holds_no_credential() -> None:
    assert [f"{name}: {finding}" for name, text in tracked_files() for finding in findings(text)] == []


def test_neither_does_its_history() -> None:
    wrong = {f"{name}: {finding}" for name, text in every_version() for finding in findings(text)}
    assert sorted(wrong) == []


PLANTED = [
    "-----BEGIN RSA PRIVATE" + " KEY-----",
    "-----BEGIN OPENSSH PRIVATE" + " KEY-----",
    "-----BEGIN PRIVATE" + " KEY-----",
    "key = AKIA" + "ABCDEFGHIJKLMNOP",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "DATABASE_URL=postgresql://user:hunter22secret" + "@db/main",
    'API_SECRET = "' + "q7Zt2Lw9Xc4Vb8Nm1Kp6Rs3" + '"',
    "VAULT_TOKEN: hvs." + "CAESIJ1234567890abcdefghijk",
    # the shapes of Bybit's keys: 18 letters and digits, their secret 36
    'BYBIT_API_KEY="' + "k3Tq9VwZr7LmX2cB5d" + '"',
    "BYBIT_API_SECRET=" + "aZ4kT9bQ2mX7cV5nL1pR8sW3dF6gH0jY4uEi",
    "  secret: " + "aZ4kT9bQ2mX7cV5nL1pR8sW3dF6gH0jY4uEi",
    '{"api_secret": "' + "aZ4kT9bQ2mX7cV5nL1pR8sW3dF6gH0jY4uEi" + '"}',
    "aws_secret_access_key = " + "wJa1rXUt2nFEM3I7K8DENG9bPxR0fiCYzQ4KEY5L",
    "docker run -e AVIGRID_SECRET_KEY=" + "Zq3vT9xLk2Wm8Rb5Yd7Hc1Jf4Ns6Pg0a" + " web",
]


@pytest.mark.parametrize("text", PLANTED)
def test_the_scan_finds_what_it_should(text: str) -> None:
    assert findings(text)


@pytest.mark.parametrize(
    "text",
    [
        'password = "correct horse 42 battery"',
        'token = "{{ csrf_token }}"',
        'secret = "only-for-tests-0123456789-abc"',
        "key=idempotency_key_required",
        "SECRET_KEY = env.text('AVIGRID_SECRET_KEY')",
        "key: marketdata_kline_symbol_interval_5",
    ],
)
def test_the_scan_leaves_examples_alone(text: str) -> None:
    assert not findings(text)


def test_history_is_really_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key committed and deleted again is found."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    git("init", "-q")
    author = ["-c", "user.name=a", "-c", "user.email=a@desk.example"]
    (tmp_path / "slip.env").write_text(PLANTED[9])
    git("add", "slip.env")
    git(*author, "commit", "-q", "-m", "slip")
    git("rm", "-q", "slip.env")
    git(*author, "commit", "-q", "-m", "gone")
    assert list(tracked_files()) == []
    assert [name for name, text in every_version() if findings(text)] == ["slip.env"]
