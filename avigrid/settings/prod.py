"""Production: everything that matters is named by the environment; nothing has a default that could be a secret."""

from avigrid.settings import env
from avigrid.settings.base import *  # noqa: F403

DEBUG = False
SECRET_KEY = env.text("AVIGRID_SECRET_KEY")
ALLOWED_HOSTS = env.words("AVIGRID_ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.words("AVIGRID_CSRF_TRUSTED_ORIGINS")
SECRETS_BACKEND = "vault"
LOCAL_CIPHER_ALLOWED = False
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^ready$", r"^metrics$", r"^hooks/"]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
