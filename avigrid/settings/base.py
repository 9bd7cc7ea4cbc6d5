"""What every environment shares. What differs between installations comes from the environment (`.env.example`)."""

from pathlib import Path
from typing import Any

from avigrid.settings import env
from avigrid.settings.security import *  # noqa: F403
from avigrid.settings.security import SECURITY_APPS, SECURITY_MIDDLEWARE
from avigrid.settings.unfold import UNFOLD  # noqa: F401

BASE_DIR = Path(__file__).resolve().parents[2]

INSTALLED_APPS = [
    "daphne",
    "unfold.apps.BasicAppConfig",  # its default one would put its own site in place of ours
    "avigrid.common.admin_site.AviGridAdminConfig",
    "accounts",  # before Django's own: createsuperuser and changepassword go through its services
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_prometheus",
    *SECURITY_APPS,
    "avigrid.common",
    "marketdata",
    "risk",
    "trading",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "avigrid.common.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Pages compress to a fifth. BREACH needs a secret that stays the same from answer to answer: the CSRF token is
    # masked anew each time, and the middleware adds a random number of bytes to every answer.
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    *SECURITY_MIDDLEWARE,
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "avigrid.common.middleware.ReadingMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "avigrid.urls"
ASGI_APPLICATION = "avigrid.asgi.application"
AUTH_USER_MODEL = "accounts.User"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ],
        },
    }
]

# --- servers -----------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **env.database(),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }
}
DATABASES["default"]["OPTIONS"] = {**DATABASES["default"]["OPTIONS"], "application_name": "avigrid"}


def database_pool(size: int) -> dict[str, Any]:
    """An ASGI server answers every request on a fresh thread: the web process borrows connections, at most `size`.

    Everything else lives on few threads, and keeps a connection on each.
    """
    return {"pool": {"min_size": min(2, size), "max_size": size, "timeout": 5.0}} if size else {}


# asgi.py names the size for a web process
DATABASES["default"]["OPTIONS"].update(database_pool(env.integer("AVIGRID_DATABASE_POOL", 0, minimum=0)))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text("REDIS_URL")
# keeps installations that share one server apart
REDIS_PREFIX = env.text("AVIGRID_REDIS_PREFIX", "avigrid")
REDIS_TIMEOUTS = {"socket_connect_timeout": 2, "socket_timeout": 2}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": REDIS_PREFIX,
        "OPTIONS": {
            "pool_class": "avigrid.common.redis_pool.SharedPool",
            **REDIS_TIMEOUTS,
        },
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": REDIS_PREFIX},
    }
}

# --- celery ------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{REDIS_PREFIX}:",
    # whoever sends a job while Redis is away is told so at once; workers reconnect by rules of their own
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "socket_connect_timeout": 2,
}
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"global_keyprefix": f"{REDIS_PREFIX}:"}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {"*.research_*": {"queue": "research"}}
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Redis may be away for hours; nobody restarts the workers for it
CELERY_TASK_SERIALIZER = "json"
CELERY_TIMEZONE = "UTC"

# --- language, time, files -----------------------------------------------------
# of messages, and of pages for whoever has not chosen one
LANGUAGE_CODE = env.text("AVIGRID_LANGUAGE", "en")
LANGUAGES = [("en", "English"), ("ru", "Русский")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["avigrid.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
NPM_PACKAGES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    # charts, installed from package-lock.json by the set-up
    *(
        (f"npm/{name}", NPM_PACKAGES / name / "dist")
        for name in ("lightweight-charts", "uplot")
        if (NPM_PACKAGES / name / "dist").is_dir()
    ),
]
STATIC_ROOT = BASE_DIR / "staticfiles"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["avigrid.common.api_parsers.FitJsonParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "COERCE_DECIMAL_TO_STRING": True,
    **REST_FRAMEWORK_SECURITY,  # noqa: F405
}
SPECTACULAR_SETTINGS = {
    "TITLE": "AviGrid API",
    "DESCRIPTION": "Signals, plans, orders and risk of one AviGrid installation.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "avigrid.common.api_examples.attach",
    ],
    "ENUM_NAME_OVERRIDES": {
        "UserRoleEnum": "accounts.core.roles.Role",
        "OrderRoleEnum": "avigrid.kernel.orders.OrderRole",
        "TradingStateEnum": "risk.core.states.State",
        "StageEnum": "trading.models.strategy.Stage",
        "SignalStatusEnum": "trading.models.signals.SignalStatus",
        "PlanStatusEnum": "trading.models.plans.PlanStatus",
        "OrderStatusEnum": "avigrid.kernel.orders.OrderStatus",
        "ResearchStatusEnum": "trading.models.research.ResearchStatus",
        "ResearchKindEnum": "trading.models.research.ResearchKind",
        "RequestKindEnum": "risk.core.request.RequestKind",
    },
}

# --- AviGrid -------------------------------------------------------------------
AVIGRID: dict[str, Any] = {
    # prefix of every order we send; tells ours from anybody else's on a shared account
    "INSTALLATION": env.text("AVIGRID_INSTALLATION", "av"),
    # true only inside `manage.py demo` and `smoke`: local cipher, Break it panel, printed credentials
    "DEMO": env.flag("AVIGRID_DEMO"),
    # where a `simulated` account lives
    "SIMULATOR_URL": env.text("AVIGRID_SIMULATOR_URL", "http://127.0.0.1:8100"),
    # the venue of the public streams: simulated, demo, testnet or mainnet
    "MARKET_ENVIRONMENT": env.text("AVIGRID_MARKET_ENVIRONMENT", "simulated"),
    "SYMBOLS": env.words(
        "AVIGRID_SYMBOLS",
        "BTCUSDT,ETHUSDT,SOLUSDT,BNBUSDT,XRPUSDT,DOGEUSDT,ADAUSDT,AVAXUSDT,LINKUSDT,DOTUSDT,LTCUSDT,NEARUSDT,APTUSDT,"
        "SUIUSDT,ARBUSDT",
    ),
    # the shallow book beside the deep one: a second witness of the best prices, for twice the book messages
    "BOOK_DEPTHS": (50, 1) if env.flag("AVIGRID_BOOK_WITNESS") else (50,),
    "RESEARCH": env.flag("AVIGRID_RESEARCH", True),
    # 0 = no metrics endpoint of its own
    "METRICS_PORT": env.integer("AVIGRID_METRICS_PORT", 0, minimum=0),
    # who may scrape it: this machine only; 0.0.0.0 inside a container network
    "METRICS_HOST": env.text("AVIGRID_METRICS_HOST", "127.0.0.1"),
    "LOG_FOLDER": env.text("AVIGRID_LOG_FOLDER", ""),
    # Alertmanager's way in (/hooks/alertmanager), closed without a token, and the alerts that halt every account
    "ALERT_WEBHOOK_TOKEN": env.text("AVIGRID_ALERT_WEBHOOK_TOKEN", ""),
    "ALERT_HALTS": env.words("AVIGRID_ALERT_HALTS", ""),
    # where rows go before retention deletes them; "" = .var/archive
    "ARCHIVE_FOLDER": env.text("AVIGRID_ARCHIVE_FOLDER", ""),
    # days in the database; then rows go to the archive folder. 0 = for ever. What was traded is always kept
    "KEEP_DAYS": {
        "klines": env.integer("AVIGRID_KEEP_KLINES_DAYS", 400, minimum=0),
        "book_features": env.integer("AVIGRID_KEEP_BOOK_FEATURES_DAYS", 400, minimum=0),
        "public_trades": env.integer("AVIGRID_KEEP_PUBLIC_TRADES_DAYS", 90, minimum=0),
        "order_book_log": env.integer("AVIGRID_KEEP_ORDER_BOOK_LOG_DAYS", 30, minimum=0),
        "decisions": env.integer("AVIGRID_KEEP_DECISIONS_DAYS", 400, minimum=0),
        "outbox": env.integer("AVIGRID_KEEP_OUTBOX_DAYS", 90, minimum=0),
        "equity": env.integer("AVIGRID_KEEP_EQUITY_DAYS", 90, minimum=0),
    },
}

LOG_LEVEL = env.text("AVIGRID_LOG_LEVEL", "INFO")
LOGGING_CONFIG = "avigrid.common.logging.configure"
LOGGING = {"folder": AVIGRID["LOG_FOLDER"], "level": LOG_LEVEL}

# --- mail: one-time links ------------------------------------------------------
# without a server nothing is sent: the admin is shown the link and hands it over
EMAIL_HOST = env.text("AVIGRID_EMAIL_HOST", "")
EMAIL_PORT = env.integer("AVIGRID_EMAIL_PORT", 587, minimum=1)
EMAIL_HOST_USER = env.text("AVIGRID_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = env.text("AVIGRID_EMAIL_PASSWORD", "")
# on port 465 from the first byte, elsewhere by STARTTLS
EMAIL_USE_SSL = env.flag("AVIGRID_EMAIL_TLS", True) and EMAIL_PORT == 465
EMAIL_USE_TLS = env.flag("AVIGRID_EMAIL_TLS", True) and EMAIL_PORT != 465
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("AVIGRID_EMAIL_FROM", "") or EMAIL_HOST_USER or "avigrid@localhost"
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'dummy'}.EmailBackend"

# --- notifications -------------------------------------------------------------
# a channel without its address is off; the webhook's secret signs each message (HMAC-SHA256)
NOTIFICATIONS = {
    "WEBHOOK_URL": env.text("AVIGRID_WEBHOOK_URL", ""),
    "WEBHOOK_SECRET": env.text("AVIGRID_WEBHOOK_SECRET", ""),
    "TELEGRAM_TOKEN": env.text("AVIGRID_TELEGRAM_TOKEN", ""),
    "TELEGRAM_CHAT": env.text("AVIGRID_TELEGRAM_CHAT", ""),
    "TELEGRAM_URL": env.text("AVIGRID_TELEGRAM_URL", "https://api.telegram.org"),
}
