"""Development and the demo: embedded servers are welcome, secrets are made for this clone and kept out of git."""

import os
import secrets
from pathlib import Path

_VAR = Path(__file__).resolve().parents[2] / ".var"


def _local_secret(name: str) -> None:
    """A secret of this clone: made once, readable by its owner only, never a constant in the code."""
    if os.environ.get(name):
        return
    _VAR.mkdir(exist_ok=True)
    path = _VAR / f"{name.lower()}.secret"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(secrets.token_urlsafe(48))
    os.environ[name] = path.read_text()


_local_secret("AVIGRID_SECRET_KEY")
_local_secret("AVIGRID_LOCAL_CIPHER_KEY")
os.environ.setdefault("DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/avigrid")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:6379/0")

from avigrid.settings import env  # noqa: E402
from avigrid.settings.base import *  # noqa: E402, F403

DEBUG = env.flag("AVIGRID_DEBUG", False)
SECRET_KEY = env.text("AVIGRID_SECRET_KEY")
LOCAL_CIPHER_KEY = env.text("AVIGRID_LOCAL_CIPHER_KEY")
SECRETS_BACKEND = env.text("AVIGRID_SECRETS_BACKEND", "local")
# its key lies beside the data: for the demo, and for whoever develops and says so
LOCAL_CIPHER_ALLOWED = DEBUG or AVIGRID["DEMO"]  # noqa: F405
ALLOWED_HOSTS = env.words("AVIGRID_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("AVIGRID_CSRF_TRUSTED_ORIGINS")
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
SECURE_SSL_REDIRECT = False
SECURE_HSTS_SECONDS = 0
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
