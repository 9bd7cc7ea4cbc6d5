"""The session shown in docs/api.md, run as it stands against a real server."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from tests.support.api_world import ApiWorld
from tests.support.users import PASSWORD, code_for, make_user
from trading.models import Plan

DOC = Path(__file__).resolve().parents[3] / "docs" / "api.md"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not shutil.which("curl"), reason="the page's examples need curl")
def test_the_session_by_curl(live_server: Any, tmp_path: Path) -> None:
    cache.clear()
    world = ApiWorld()
    world.signal()
    trader = make_user("trader", password=PASSWORD)
    blocks = re.findall(r"```sh\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert len(blocks) == 7
    script = tmp_path / "session.sh"
    setting = (
        f'HOST={live_server.url}\nEMAIL={trader.email}\nPASSWORD="{PASSWORD}"\notp() {{ echo {code_for(trader)}; }}\n'
    )
    script.write_text(setting + "".join(blocks))
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"spec"' in done.stdout
    assert done.stdout.splitlines()[-1] == "halted"
    assert Plan.objects.count() == 1


def test_every_operation_is_in_the_table() -> None:
    from drf_spectacular.generators import SchemaGenerator

    text = DOC.read_text()
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    roots = {path.removeprefix("/api/v1/").split("/{")[0] for path in paths}
    assert sorted(root for root in roots if f"`{root}`" not in text) == []
