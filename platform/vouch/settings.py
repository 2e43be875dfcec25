"""Django's settings, read from the environment. The README's table explains each variable to an operator."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from foundation.audit import notes, witness
from vouch import environment as env

PRODUCTION = env.text("VOUCH_ENV", "production") == "production"
REHEARSAL = env.flag("VOUCH_REHEARSAL", default=False)
if PRODUCTION and REHEARSAL:
    raise ImproperlyConfigured(
        "VOUCH_REHEARSAL is on in a production configuration. A rehearsal lets synthetic speakers consent: it must "
        "never face the public. Unset VOUCH_REHEARSAL, or set VOUCH_ENV=development."
    )

# -- places -----------------------------------------------------------------------------------------------------------
VOUCH_VAR = Path(env.text("VOUCH_VAR", str(Path.cwd() / "var"))).resolve()
VOUCH_KEYS = Path(env.text("VOUCH_KEYS", str(VOUCH_VAR / "keys"))).resolve()
VOUCH_STORAGE = Path(env.text("VOUCH_STORAGE", str(VOUCH_VAR / "storage"))).resolve()
# Key material has a place of its own, which ordinary backups leave out (docs/vault.md).
VOUCH_KEYSTORE = Path(env.text("VOUCH_KEYSTORE", str(VOUCH_VAR / "keystore"))).resolve()
# The master key in AWS KMS instead of a file; former keys still unwrap until `rotate_keys master` is done.
VOUCH_KMS_KEY = os.environ.get("VOUCH_KMS_KEY", "")
VOUCH_KMS_FORMER_KEYS = [k for k in os.environ.get("VOUCH_KMS_FORMER_KEYS", "").split(",") if k]
VOUCH_KMS_ENDPOINT = os.environ.get("VOUCH_KMS_ENDPOINT", "")
# Sealed files in a bucket of S3 or MinIO instead of VOUCH_STORAGE.
VOUCH_S3_BUCKET = os.environ.get("VOUCH_S3_BUCKET", "")
VOUCH_S3_PREFIX = os.environ.get("VOUCH_S3_PREFIX", "")
VOUCH_S3_ENDPOINT = os.environ.get("VOUCH_S3_ENDPOINT", "")
if VOUCH_S3_PREFIX and not VOUCH_S3_PREFIX.endswith("/"):
    raise ImproperlyConfigured("VOUCH_S3_PREFIX must end in a slash, or what begins alike would be taken for ours.")

# -- Django -----------------------------------------------------------------------------------------------------------
SECRET_KEY = env.secret("VOUCH_SECRET_KEY")
# While the secret is being changed: what the former one signed (links, sessions, cursors) still counts.
SECRET_KEY_FALLBACKS = [env.secret("VOUCH_FORMER_SECRET_KEY")] if env.given("VOUCH_FORMER_SECRET_KEY") else []
DEBUG = False
ALLOWED_HOSTS = env.text("VOUCH_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("VOUCH_ORIGINS", "").split(",") if o]
ROOT_URLCONF = "vouch.urls"
WSGI_APPLICATION = "vouch.wsgi.application"
AUTH_USER_MODEL = "identity.Person"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": env.postgres("DATABASE_URL")}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "foundation.identity",
    "foundation.audit",
    "foundation.vault",
    "retention",
    "watermark",
    "safety",
    "consent",
    "cloning",
    "cloning.batches",
    "marketplace",
    "vouch.api",
    "vouch.web",
    "allauth",
    "allauth.account",
    "allauth.mfa",
]
MIDDLEWARE = [
    "vouch.api.core.middleware.RequestIds",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "vouch.web.compression.CompressedPages",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "vouch.web.refusals.PagesForPeople",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "vouch.web.context.page",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "web:sign-in"
LOGIN_REDIRECT_URL = "web:home"
SESSION_COOKIE_AGE = 14 * 24 * 3600

# -- signing in: django-allauth ---------------------------------------------------------------------------------------
# The e-mail address is a name: no mail is sent, so none is verified, and a lost password is an operator's matter.
ACCOUNT_ADAPTER = "vouch.adapters.AccountAdapter"
ACCOUNT_USER_DISPLAY = "vouch.adapters.name_of"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_METHODS = ("password", "mfa")
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_RATE_LIMITS = {"login_failed": "30/m/ip,5/5m/key"}
MFA_ADAPTER = "vouch.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {"authenticate_webauthn": "vouch.passkeys.SecondStepPasskey"}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Vouch"
MFA_TOTP_TOLERANCE = 1
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = VOUCH_VAR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "vouch.statics.Collected"},
}

# A body larger than this is refused before it is read; audio uploads are streamed by their own views and never come
# near Django's parsers, so no upload handler may spool them to disk in the clear.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_HANDLERS = ["vouch.api.core.bodies.NoUploads"]

# -- security ---------------------------------------------------------------------------------------------------------
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = env.flag("VOUCH_SSL_REDIRECT", default=PRODUCTION)
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.flag("VOUCH_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "media-src": ["'self'", "blob:"],
        "style-src": ["'self'"],
        "script-src": ["'self'"],
        "worker-src": ["'self'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
    }
}

# -- the API ----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    # Who is asking is settled in one place, vouch.api.core.views.ApiView; any other view is public.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "vouch.api.core.errors.handler",
    "DEFAULT_SCHEMA_CLASS": "vouch.api.core.schema.ApiSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Vouch",
    "DESCRIPTION": "Voice cloning that can prove its consent.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "OAS_VERSION": "3.1.1",
    "ENUM_NAME_OVERRIDES": {
        "BatchKindEnum": (("files", "A file a line"), ("narration", "One recording")),
        "ContainerEnum": [(one, one) for one in ("wav", "flac", "mp3", "opus", "m4a")],
        "StreamedContainerEnum": [(one, one) for one in ("wav", "mp3", "opus")],
        "LanguageEnum": (("en", "en"), ("zh", "zh")),
        "DecisionEnum": [(one, one) for one in ("allow", "refuse", "restrict", "dismiss", "destroy", "ban")],
        "SubjectKindEnum": [(one, one) for one in ("person", "voice", "output", "text", "licence")],
        "NoticeSubjectEnum": (("output", "output"), ("voice", "voice")),
    },
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "APPEND_COMPONENTS": {
        "headers": {
            "RetryAfter": {
                "required": True,
                "schema": {"type": "integer", "minimum": 1},
                "description": "Seconds after which it is worth asking again.",
            }
        }
    },
    "GET_LIB_DOC_EXCLUDES": "vouch.api.core.described.not_described",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# -- Celery -----------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL = env.secret("REDIS_URL")
# Shared by all processes: allauth's limits, and which codes were used.
CACHES = {
    "default": {
        "BACKEND": "vouch.caching.Cache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        "OPTIONS": {"serializer": "vouch.caching.Json"},
    }
}
CELERY_TASK_DEFAULT_QUEUE = "cpu"
CELERY_TASK_ROUTES = {
    "cloning.train": "gpu",
    "cloning.speak": "gpu",
    "cloning.recover_jobs": "sweep",
    "cloning.end_outputs": "sweep",
    "consent.tidy": "sweep",
    "safety.forget_decisions": "sweep",
    "retention.*": "sweep",
    "audit.*": "sweep",
    "vault.*": "sweep",
    "marketplace.*": "sweep",
    "desk.*": "sweep",
    "api.*": "sweep",
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A task that outlives this is delivered again by Redis; tasks are safe to run twice, but twice is a waste.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 4 * 3600}

# -- Vouch ------------------------------------------------------------------------------------------------------------
VOUCH_SWEEP_SECONDS = env.integer("VOUCH_SWEEP_SECONDS", 30, low=1, high=3600)
VOUCH_CHECKPOINT_SECONDS = env.integer("VOUCH_CHECKPOINT_SECONDS", 60, low=1, high=3600)
VOUCH_RECOVER_SECONDS = env.integer("VOUCH_RECOVER_SECONDS", 15, low=1, high=3600)
VOUCH_TRAINING_RECIPE = env.text("VOUCH_TRAINING_RECIPE", "demo")
VOUCH_TRAINING_THREADS = env.integer("VOUCH_TRAINING_THREADS", 2, low=1, high=64)
# What the platform keeps of each earning, in basis points; an order keeps the fee of the day it was placed.
VOUCH_FEE_BP = env.integer("VOUCH_FEE_BP", 0, low=0, high=5_000)
# Who takes payments: nobody (operators record what arrived), the embedded test provider, or Stripe.
VOUCH_PAYMENTS = env.choice("VOUCH_PAYMENTS", "off", ("off", "test", "stripe"))
if PRODUCTION and VOUCH_PAYMENTS == "test":
    raise ImproperlyConfigured("VOUCH_PAYMENTS=test moves no money: it must not face the public.")
VOUCH_STRIPE_KEY = env.secret("VOUCH_STRIPE_KEY") if VOUCH_PAYMENTS == "stripe" else ""
VOUCH_STRIPE_WEBHOOK_SECRET = env.secret("VOUCH_STRIPE_WEBHOOK_SECRET") if VOUCH_PAYMENTS == "stripe" else ""
# Event streams open at once in a web process; each holds a thread, so fewer than the process has.
VOUCH_EVENT_STREAMS = env.integer("VOUCH_EVENT_STREAMS", 16, low=1, high=1000)
# What a request's body may take, beside a second for every 8 KiB of it (vouch.api.core.patience).
VOUCH_BODY_SECONDS = env.integer("VOUCH_BODY_SECONDS", 20, low=1, high=600)
# Requests a minute to the API: of one key, of one person by all keys and sessions, of one address.
VOUCH_RATE_KEY = env.integer("VOUCH_RATE_KEY", 600, low=1, high=1_000_000)
VOUCH_RATE_PERSON = env.integer("VOUCH_RATE_PERSON", 1_200, low=1, high=1_000_000)
VOUCH_RATE_ADDRESS = env.integer("VOUCH_RATE_ADDRESS", 3_000, low=1, high=1_000_000)
VOUCH_RATE_ANONYMOUS = env.integer("VOUCH_RATE_ANONYMOUS", 600, low=1, high=1_000_000)
VOUCH_POLICY_TEXT_DAYS = env.integer("VOUCH_POLICY_TEXT_DAYS", 90, low=0, high=365)
#: A deployment's own judges of texts: "name=module:function", separated by commas (docs/policy.md).
VOUCH_POLICY_CLASSIFIERS = os.environ.get("VOUCH_POLICY_CLASSIFIERS", "")
# The bank account that owners are paid from, in the files for the bank.
VOUCH_PAYER_NAME = os.environ.get("VOUCH_PAYER_NAME", "")
VOUCH_PAYER_BIC = os.environ.get("VOUCH_PAYER_BIC", "")
VOUCH_PAYER_IBAN = os.environ.get("VOUCH_PAYER_IBAN", "")
# Base models of further versions, a folder each (`cloning.engine.versions`), and how many steps the flow of v3 and v4
# takes. Voices made on a base speak only while it is mounted.
VOUCH_BASES = env.folder("VOUCH_BASES")
VOUCH_FLOW_STEPS = env.integer("VOUCH_FLOW_STEPS", 32, low=1, high=128)
VOUCH_OUTPUT_DAYS = env.integer("VOUCH_OUTPUT_DAYS", 365, low=1, high=36_500)
# How long a moderator's decision can be undone before its effects begin.
VOUCH_UNDO_SECONDS = env.integer("VOUCH_UNDO_SECONDS", 60, low=0, high=600)
VOUCH_PURGE_AFTER_TRAINING = env.flag("VOUCH_PURGE_AFTER_TRAINING", default=False)
VOUCH_LOG_ORIGIN = env.text("VOUCH_LOG_ORIGIN", "vouch.example/log")
# A folder that a web server hands out: the log as static tiles. Empty: not published.
VOUCH_LOG_TILES = Path(_tiles).resolve() if (_tiles := os.environ.get("VOUCH_LOG_TILES")) else None
try:
    VOUCH_WITNESSES = witness.parse(os.environ.get("VOUCH_WITNESSES", ""))
except notes.BadNote as error:
    raise ImproperlyConfigured(f"VOUCH_WITNESSES: {error}.") from error
# 27 characters of TC260-PG-20252A. The default is visibly invalid on purpose: a deployment sets its own.
VOUCH_PROVIDER_CODE = env.text("VOUCH_PROVIDER_CODE", "001100000000000000000000000")
# How outputs are labelled (`watermark/labels/profiles`), at which rates they are delivered, and who says when.
VOUCH_LABEL_PROFILE = env.choice("VOUCH_LABEL_PROFILE", "eu", ("cn", "eu", "in", "us"))
VOUCH_TIER = env.choice("VOUCH_TIER", "member", ("accounts", "free", "member"))
# Of accounts without membership: characters of own use a month (0: no bound). Of all: the trial, and what a month costs
# (0: none is sold).
VOUCH_FREE_CHARACTERS = env.integer("VOUCH_FREE_CHARACTERS", 20_000, low=0, high=10**9)
VOUCH_TRIAL_DAYS = env.integer("VOUCH_TRIAL_DAYS", 14, low=0, high=365)
VOUCH_MEMBERSHIP_MINOR = env.integer("VOUCH_MEMBERSHIP_MINOR", 0, low=0, high=10_000_000)
VOUCH_MEMBERSHIP_CURRENCY = env.choice("VOUCH_MEMBERSHIP_CURRENCY", "EUR", ("CNY", "EUR", "GBP", "JPY", "USD"))
#: Second marks that audiowmark reads: made by this code or by the program, on narrations from so many seconds on.
VOUCH_AUDIOWMARK = env.choice("VOUCH_AUDIOWMARK", "off", ("off", "own", "program"))
VOUCH_AUDIOWMARK_SECONDS = env.integer("VOUCH_AUDIOWMARK_SECONDS", 60, low=20, high=3600)
VOUCH_TIME_STAMP_URL = os.environ.get("VOUCH_TIME_STAMP_URL") or None
CELERY_BEAT_SCHEDULE = {
    "sweep-custody": {"task": "retention.sweep", "schedule": VOUCH_SWEEP_SECONDS},
    "tidy-consents": {"task": "consent.tidy", "schedule": VOUCH_SWEEP_SECONDS},
    "checkpoint-log": {"task": "audit.checkpoint", "schedule": VOUCH_CHECKPOINT_SECONDS},
    "end-outputs": {"task": "cloning.end_outputs", "schedule": 3600},
    "forget-decisions": {"task": "safety.forget_decisions", "schedule": 3600},
    "recover-jobs": {"task": "cloning.recover_jobs", "schedule": VOUCH_RECOVER_SECONDS},
    "finish-destruction": {"task": "vault.finish_destruction", "schedule": VOUCH_SWEEP_SECONDS},
    "recover-payments": {"task": "marketplace.recover_payments", "schedule": 60},
    "settle-rulings": {"task": "desk.settle", "schedule": 5},
    "tidy-desk": {"task": "desk.tidy", "schedule": 300},
    "tell-jobs": {"task": "api.tell_jobs", "schedule": 5},
    "forget-answers": {"task": "api.forget_answers", "schedule": 3600},
    "deliver-webhooks": {"task": "marketplace.deliver_webhooks", "schedule": 60},
    "tidy-sounds": {"task": "marketplace.tidy_sounds", "schedule": 60},
    "recover-statements": {"task": "marketplace.recover_statements", "schedule": 60},
    "pay-periods": {"task": "marketplace.periods", "schedule": 3600},
    "settle-earnings": {"task": "marketplace.settle", "schedule": 3600},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": env.text("VOUCH_LOG_LEVEL", "INFO")},
}
