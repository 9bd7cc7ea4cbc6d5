"""Tests: real servers, embedded unless the environment names others; one database per run, so runs never collide."""

import os

from avigrid.common import embedded

if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
    embedded.ensure(name="test", durable=False)
# a test that empties its cache must not empty its neighbour's: every test worker has a Redis database of its own
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if _worker.startswith("gw"):
    os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rsplit('/', 1)[0]}/{1 + int(_worker[2:]) % 15}"
    os.environ["AVIGRID_REDIS_PREFIX"] = f"avigrid-test-{_worker}"
os.environ.setdefault("AVIGRID_SECRET_KEY", "only-for-tests-and-never-anywhere-else-0123456789")
os.environ.setdefault("AVIGRID_LOCAL_CIPHER_KEY", "only-for-tests-0123456789-abcdefghijklmnop")
os.environ.setdefault("AVIGRID_DEMO", "true")

from avigrid.settings.base import DATABASES  # noqa: E402
from avigrid.settings.dev import *  # noqa: E402, F403

DEBUG = False
# the master's pid, handed to xdist workers through the environment
os.environ.setdefault("AVIGRID_TEST_RUN", str(os.getpid()))
DATABASES["default"]["TEST"] = {"NAME": f"test_avigrid_{os.environ['AVIGRID_TEST_RUN']}"}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
LOG_LEVEL = "WARNING"
