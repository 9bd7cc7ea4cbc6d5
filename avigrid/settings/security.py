"""Everything that decides who gets in and what a browser may do. Imported by base.py; prod.py only tightens it."""

from datetime import timedelta

from avigrid.settings import env

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "accounts:login"

# After django.contrib.auth, sessions and messages; before the apps of the house.
SECURITY_APPS = [
    "django_otp",
    "axes",
    "csp",
]

# In this order, right after SecurityMiddleware, Session, Common, Csrf and AuthenticationMiddleware.
SECURITY_MIDDLEWARE = [
    "accounts.middleware.BodyLimitMiddleware",
    "avigrid.common.fit_text.FitTextMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "accounts.middleware.OriginMiddleware",
    "accounts.api.address_limit.AddressLimitMiddleware",
    "accounts.middleware.SessionGuardMiddleware",
    "accounts.middleware.PolicyMiddleware",
    "accounts.middleware.AccessMiddleware",
    "axes.middleware.AxesMiddleware",
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]

# -- passwords -----------------------------------------------------------------------------------------------------
PASSWORD_HASHERS = [
    "avigrid.common.passwords.DeskArgon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.forms.passwords.LettersAndDigitsValidator"},
]
ONE_TIME_LINK_HOURS = 48

# -- lockout -------------------------------------------------------------------------------------------------------
AXES_ENABLE_ADMIN = False  # accounts.admin shows its rows, read-only
AXES_ENABLED = True
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "email"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "accounts.middleware.client_ip"
AXES_LOCKOUT_CALLABLE = "accounts.views.lockout.locked_out"
# What the lockout keeps of a failed form: none of these. A wrong code may stand beside anything a form holds.
AXES_SENSITIVE_PARAMETERS = [
    "username", "ip_address", "csrfmiddlewaretoken",
    "password", "old", "repeat", "code", "present_code", "otp_code", "one_time_password", "secret",
]  # fmt: skip
# Addresses of our own reverse proxies; only what they wrote into X-Forwarded-For is believed.
TRUSTED_PROXIES = env.words("AVIGRID_TRUSTED_PROXIES")

# -- second factor -------------------------------------------------------------------------------------------------
OTP_ISSUER = "AviGrid"
OTP_LOGIN_URL = "accounts:login"

# -- the admin's doors that are the desk's -------------------------------------------------------------------------
LOGOUT_VIEW = "accounts.views.login.logout_view"
PASSWORD_CHANGE_URL = "accounts:password"  # noqa: S105 - the name of a page

# -- sessions and cookies ------------------------------------------------------------------------------------------
# In the database: losing Redis must not lock the operators out of HALT.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "avigrid_session"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = False  # htmx reads the token for its header
CSRF_COOKIE_NAME = "avigrid_csrf"
CSRF_FAILURE_VIEW = "trading.views.csrf.csrf_refused"

# -- what a browser may do -----------------------------------------------------------------------------------------
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}
# The admin's theme evaluates expressions and writes its colours into a style element; the API browser writes styles.
RELAXED_POLICIES = {
    "/admin/": {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]},
    "/api/docs/": {"style-src": ["'unsafe-inline'"]},
}

# -- limits of a request -------------------------------------------------------------------------------------------
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500
DATA_UPLOAD_MAX_NUMBER_FILES = 5
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

# -- API -----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK_SECURITY = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.TokenAuthentication",
        "accounts.api.authentication.VerifiedSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.api.ApiPermission"],
    "DEFAULT_THROTTLE_CLASSES": [
        "accounts.api.throttles.RoleThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "address": "1200/min",
        "viewer": "300/min",
        "trader": "600/min",
        "admin": "600/min",
        "login": "10/min",
        "code": "10/min",
        "reset": "5/hour",
    },
    "EXCEPTION_HANDLER": "avigrid.common.api_errors.exception_handler",
}
# Tries a new exchange key before it is stored; set where the venue is wired.
KEY_TRIAL_CALL = "trading.runtime.venue.key_trial"
# Draws the desk around a page: the top bar and HALT belong to trading.
DESK_PAGE = "trading.views.frame.page"

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ALGORITHM": "HS256",
    "USER_ID_CLAIM": "sub",
    "ISSUER": "avigrid",
    "AUTH_HEADER_TYPES": ("Bearer",),
}

# -- secrets at rest -----------------------------------------------------------------------------------------------
# "vault" everywhere but in dev.py, which allows the local cipher.
SECRETS_BACKEND = "vault"
LOCAL_CIPHER_ALLOWED = False
LOCAL_CIPHER_KEY = ""
VAULT_ADDR = env.text("VAULT_ADDR", "")
VAULT_TOKEN = env.text("VAULT_TOKEN", "")
VAULT_NAMESPACE = env.text("VAULT_NAMESPACE", "")
VAULT_TOKEN_FILE = env.text("VAULT_TOKEN_FILE", "")
VAULT_TRANSIT_MOUNT = env.text("VAULT_TRANSIT_MOUNT", "transit")
# Two keys, so that the web's policy can allow one-time passwords and refuse exchange secrets.
VAULT_TRANSIT_KEYS = {
    "exchange": env.text("VAULT_TRANSIT_KEY_EXCHANGE", "avigrid-exchange"),
    "otp": env.text("VAULT_TRANSIT_KEY_OTP", "avigrid-otp"),
    "notification": env.text("VAULT_TRANSIT_KEY_NOTIFICATION", "avigrid-notification"),
}
VAULT_CACERT = env.text("VAULT_CACERT", "")
VAULT_TIMEOUT_S = env.number("VAULT_TIMEOUT_S", 5, minimum=0.1)
