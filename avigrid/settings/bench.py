"""Benchmarks: as tests, but on a server that keeps what it commits, as a desk's does."""

import os

from avigrid.common import embedded

if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
    embedded.ensure(name="bench")

from avigrid.settings.test import *  # noqa: E402, F403
