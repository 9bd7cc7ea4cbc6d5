"""The embedded servers end with the process that started them, however that one ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.simulator_server import eventually

ROOT = Path(__file__).resolve().parents[3]
_STARTS_ONE_AND_WAITS = """
import sys
from pathlib import Path
from avigrid.common import embedded
servers = embedded.Servers()
embedded._start_redis(Path(sys.argv[1]), servers)
print("up", flush=True)
sys.stdin.read()
"""


def test_a_killed_starter_takes_its_redis_along(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", _STARTS_ONE_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        server = int((tmp_path / "valkey.pid").read_text())
        assert _runs(server)
        starter.send_signal(signal.SIGKILL)
    eventually(lambda: not _runs(server), timeout_s=10)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
