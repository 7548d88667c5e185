"""The one settings file. What differs between installations comes from the environment: docs/configuration.md."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.templatetags.static import static

from knowrithm import env, garbage
from knowrithm.logs import configure_structlog, logging_config

garbage.search_rarely()  # until the applications are ready: knowrithm.apps

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / ".data"))).resolve()
TESTING = "pytest" in sys.modules

DEBUG = env.boolean("DEBUG") or TESTING
SECRET_KEY = env.secret("SECRET_KEY", debug=DEBUG)
SECRET_KEY_FALLBACKS = env.items("SECRET_KEY_FALLBACKS")  # older ones: sign nothing, verify what they signed
JWT_SECRET_KEY = env.secret("JWT_SECRET_KEY", debug=DEBUG)
ENCRYPTION_KEYS = env.secret("ENCRYPTION_KEY", debug=DEBUG).split(",")  # the first encrypts, all decrypt
AUDIT_KEYS = env.items("AUDIT_KEY") or [SECRET_KEY]  # the first seals the audit log, all verify

PORT = env.integer("PORT", 8543)
BASE_URL = env.text("BASE_URL", f"http://localhost:{PORT}").rstrip("/")
SECURE = BASE_URL.startswith("https://")
# The public name, and the loopback ones for health checks on the machine itself.
OWN_HOSTS = [urlsplit(BASE_URL).hostname or "localhost", "localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS") or (["*"] if DEBUG else OWN_HOSTS)
CSRF_TRUSTED_ORIGINS = [BASE_URL]
# Of whoever runs this installation: linked from the pages, and who signs a company up accepts the terms.
TERMS_URL = env.web_address("TERMS_URL")
PRIVACY_URL = env.web_address("PRIVACY_URL")

# --- Applications -------------------------------------------------------------------------------------------------

SHARED_APPS = [
    "unfold.apps.BasicAppConfig",  # before django_tenants, whose templates would take the place of the admin's
    "django_tenants",
    "knowrithm",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",  # operator classes of indexes
    "django.contrib.staticfiles",
    "tenants.admin_config.AdminConfig",  # django.contrib.admin with a site of ours
    "django.contrib.humanize",
    "tenants",
    "tenants.audit",  # in both: each company's own log, and the platform's
    "tenants.geography",
    "agents.catalog",
    "analytics",
    "analytics.usage",
    "django_celery_beat",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "corsheaders",
    "csp",
    "django_htmx",
]
TENANT_APPS = [
    "tenants.audit",
    "agents",
    "documents",
    "leads",
    "integrations",
    "integrations.notifications",
    "conversations",
]
INSTALLED_APPS = list(dict.fromkeys(SHARED_APPS + TENANT_APPS))

TENANT_MODEL = "tenants.Company"
TENANT_DOMAIN_MODEL = "tenants.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TEMPLATE_SCHEMA = "knowrithm_template"
TENANT_LIMIT_SET_CALLS = True  # the search path is sent once a request, not before each query

MIDDLEWARE = [
    "knowrithm.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "knowrithm.middleware.SecurityHeadersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "tenants.middleware.BrowserMiddleware",
    "tenants.middleware.KeyUseMiddleware",
    "tenants.middleware.CompanyMiddleware",
    "knowrithm.middleware.RefusalPageMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "knowrithm.urls"
ASGI_APPLICATION = "knowrithm.asgi.application"
WSGI_APPLICATION = "knowrithm.wsgi.application"
APPEND_SLASH = False  # the API has no trailing slashes, and a redirect would lose a POST's body

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
                "knowrithm.installation.about_installation",
            ],
        },
    }
]

# --- Data ---------------------------------------------------------------------------------------------------------

DATABASE = env.database(env.text("DATABASE_URL"))
DATABASE["OPTIONS"]["prepare_threshold"] = 0  # of what is run as a `CompiledQuery`; nothing else is ever prepared
if not TESTING:  # the tests hold one connection per process, inside a transaction
    # More at once only make each other slower. Four for each processor, and enough for a few slow pages beside them.
    usual = min(max(4 * (os.cpu_count() or 1), 8), 24)
    DATABASE["OPTIONS"]["pool"] = {"min_size": 1, "max_size": env.integer("DATABASE_POOL_SIZE", usual), "timeout": 20}
DATABASES = {
    "default": {
        "ENGINE": "knowrithm.db.postgresql",
        **DATABASE,
        # Under ASGI every request runs on a thread of its own: without a pool each would connect anew, and with
        # CONN_MAX_AGE they would pile up.
        "CONN_MAX_AGE": 0,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text("REDIS_URL", "redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_FUNCTION": "django_tenants.cache.make_key",
        "REVERSE_KEY_FUNCTION": "django_tenants.cache.reverse_key",
    }
}

UPLOAD_FOLDER = Path(env.text("UPLOAD_FOLDER", str(DATA_DIR / "uploads")))
MAX_FILE_SIZE = env.integer("MAX_FILE_SIZE", 50 * 1024 * 1024)  # bytes
MEDIA_ROOT = UPLOAD_FOLDER
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "knowrithm" / "static"]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.AppDirectoriesFinder"]
# With a bucket, files lie there instead; any server that speaks the protocol of S3 will do.
S3_BUCKET_NAME = env.text("S3_BUCKET_NAME")
S3_OPTIONS = {
    "bucket_name": S3_BUCKET_NAME,
    "endpoint_url": env.text("AWS_S3_ENDPOINT_URL") or None,
    "region_name": env.text("AWS_REGION") or None,
    "access_key": env.text("AWS_ACCESS_KEY_ID") or None,  # None: what boto3 finds by itself, such as a machine's role
    "secret_key": env.text("AWS_SECRET_ACCESS_KEY") or None,
    "signature_version": "s3v4",
}
STORAGES = {
    # Below MEDIA_ROOT, in the folder of the company's schema; with a location of its own it would not add that.
    "default": {"BACKEND": "knowrithm.storage.CompanyBucketStorage", "OPTIONS": S3_OPTIONS}
    if S3_BUCKET_NAME
    else {"BACKEND": "django_tenants.files.storage.TenantFileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "knowrithm.storage.StaticStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG  # nothing is collected there
# Large uploads go to disk, not to memory; the request body's own limit is checked per file against MAX_FILE_SIZE.
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# --- People and credentials ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "tenants.User"
SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # e-mail addresses are unique without regard to case, by a constraint
AUTHENTICATION_BACKENDS = ["tenants.backends.EmailBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the tests make many users
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "tenants.passwords.MaximumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "landing"
LOGIN_FAILURE_LIMIT = env.integer("LOGIN_FAILURE_LIMIT", 10)  # then the account is locked for
LOGIN_LOCK_MINUTES = env.integer("LOGIN_LOCK_MINUTES", 15)
SUPER_ADMIN_EMAIL = env.text("SUPER_ADMIN_EMAIL", "admin@knowrithm.local")
SUPER_ADMIN_PASSWORD = env.text("SUPER_ADMIN_PASSWORD")

SIMPLE_JWT = {
    "SIGNING_KEY": JWT_SECRET_KEY,
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.integer("JWT_ACCESS_MINUTES", 60)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.integer("JWT_REFRESH_DAYS", 30)),
    "ISSUER": "knowrithm",
}

# --- API ----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tenants.api.authentication.BearerAuthentication",
        "leads.api.authentication.LeadAuthentication",
        "tenants.api.authentication.ApiKeyAuthentication",
        "tenants.api.authentication.BrowserAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["knowrithm.api.permissions.HasAccess"],
    "DEFAULT_PARSER_CLASSES": [
        "knowrithm.api.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": [
        "knowrithm.api.responses.JsonRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "knowrithm.api.responses.LenientNegotiation",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "knowrithm.api.schema.AutoSchema",
    "EXCEPTION_HANDLER": "knowrithm.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Knowrithm API",
    "DESCRIPTION": "Company AI agents that answer from the company's own knowledge, with citations.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SCHEMA_PATH_PREFIX_TRIM": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "PREPROCESSING_HOOKS": ["knowrithm.api.schema.only_canonical_prefix"],
    "ENUM_NAME_OVERRIDES": {
        "AgentStatusEnum": "agents.enums.AgentStatus",
        "ProviderKindEnum": "agents.catalog.models.ProviderKind",
        "CatalogueStatusEnum": "agents.api.provider_serializers.STATUSES",
        "DocumentStatusEnum": "documents.enums.DocumentStatus",
        "DocumentTypeEnum": "documents.enums.DocumentType",
        "AgentKindEnum": "agents.enums.AgentKind",
        "ConversationStatusEnum": "conversations.enums.ConversationStatus",
        "MessageAuthorEnum": "conversations.enums.AUTHORS",
        "NotificationKindEnum": "integrations.notifications.enums.Kind",
        "DeliveryStatusEnum": "integrations.enums.DeliveryStatus",
        "WebhookStateEnum": "integrations.enums.WEBHOOK_STATES",
        "LeadStatusEnum": "leads.enums.LeadStatus",
        "LeadFieldTypeEnum": "agents.enums.FieldKind",
        "UserStatusEnum": "tenants.enums.UserStatus",
        "RoleEnum": "tenants.enums.ROLE_CHOICES",
        "InvitedRoleEnum": "tenants.enums.INVITED_ROLES",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
}

# Atomic in Redis; `RATE_LIMIT_ENABLED=false` is for trials only. Per address unless said otherwise.
RATE_LIMIT_ENABLED = env.boolean("RATE_LIMIT_ENABLED", default=not TESTING)
RATE_LIMITS = {
    "login": env.text("RATE_LIMIT_LOGIN", "30/minute"),
    "login_account": env.text("RATE_LIMIT_LOGIN_ACCOUNT", "20/minute"),  # per e-mail address, from wherever
    "model_test": env.text("RATE_LIMIT_MODEL_TEST", "30/minute"),  # per company
    "register": env.text("RATE_LIMIT_REGISTER", "20/hour"),
    "mail": env.text("RATE_LIMIT_MAIL", "10/hour"),  # per asking address, and per e-mail address
    "invitation": env.text("RATE_LIMIT_INVITATION", "100/hour"),  # per company
    "lead": env.text("RATE_LIMIT_LEAD", "30/minute"),
    "lead_daily": env.text("RATE_LIMIT_LEAD_DAILY", "1000/day"),
    "visit": env.text("RATE_LIMIT_VISIT", "120/minute"),  # conversations and questions of visitors
    "handshake": env.text("RATE_LIMIT_HANDSHAKE", "5/second"),
    "upload": env.text("RATE_LIMIT_UPLOAD", "20/minute"),  # per company
    "search": env.text("RATE_LIMIT_SEARCH", "60/minute"),  # per credential
    "chat": env.text("RATE_LIMIT_CHAT", "60/minute"),  # per credential
    "metrics": env.text("RATE_LIMIT_METRICS", "30/minute"),  # per credential
}
# What keys may be given at most; a company may have figures of its own.
API_KEY_MAX_PER_HOUR = env.integer("API_KEY_MAX_PER_HOUR", 10_000)
API_KEY_MAX_PER_DAY = env.integer("API_KEY_MAX_PER_DAY", 100_000)

# --- Work in the background ---------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", REDIS_URL)
CELERY_RESULT_BACKEND = env.text("CELERY_RESULT_BACKEND") or None  # a client's task status lives in knowrithm.jobs
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "conversations.answer": {"queue": "critical"},
    "conversations.alert_unanswered*": {"queue": "low"},
    "conversations.learn_scores*": {"queue": "low"},
    "conversations.score_leads*": {"queue": "low"},
    "conversations.tell_*": {"queue": "low"},  # at once, but after the visitor who is being answered
    "conversations.replay": {"queue": "default"},  # waits for a model: in threads, and never before a visitor
    "documents.ingest": {"queue": "slow"},
    "documents.ingest_first": {"queue": "first"},
    "documents.build_index": {"queue": "slow"},
    "documents.purge_*": {"queue": "low"},
    "documents.resume_stalled*": {"queue": "low"},
    "documents.crawl": {"queue": "default"},  # waits for other people's servers: in threads
    "documents.crawl_due*": {"queue": "low"},
    "documents.tend_indexes_everywhere": {"queue": "low"},
    "documents.tend_indexes": {"queue": "slow"},  # of a large company it takes minutes
    "leads.apply_encryption*": {"queue": "low"},
    "leads.purge_imports*": {"queue": "low"},
    "leads.import": {"queue": "default"},  # somebody waits for it
    "integrations.deliver": {"queue": "default"},  # waits for other people's servers: in threads, a few at a time
    "integrations.deliver_due*": {"queue": "low"},
    "integrations.purge_deliveries*": {"queue": "low"},
    "notifications.mail_due_everywhere": {"queue": "low"},
    "tenants.keep_dead_letter": {"queue": "dead_letter"},
    "tenants.purge_company": {"queue": "slow"},
    "usage.*": {"queue": "low"},
    "analytics.collect_requested": {"queue": "default"},  # somebody waits for it
    "analytics.*": {"queue": "low"},
    "audit.*": {"queue": "low"},
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A task that is cut off starts over; a document's own deadlines (documents.jobs) come before.
# The first is longer than any task may run, or Redis hands the same message out a second time.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3 * 3600}
CELERY_TASK_TIME_LIMIT = 2 * 3600  # in processes: what runs in threads has deadlines of its own, or is short
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TIMEZONE = "UTC"

LEASE_SECONDS = env.integer("LEASE_SECONDS", 30)  # then the work of a worker that has died is taken up again
INGESTION_MEMORY_MB = env.integer("INGESTION_MEMORY_MB", 1536)  # the most for one document's reader
EMBEDDING_CACHE_SIZE = env.integer("EMBEDDING_CACHE_SIZE", 50_000)  # vectors that are kept for each company
# Chunks of one embedding model that a question is compared with one by one; a company with more gets indexes.
EXACT_SEARCH_UP_TO = env.integer("EXACT_SEARCH_UP_TO", 20_000)
TURN_DEADLINE_SECONDS = env.integer("TURN_DEADLINE_SECONDS", 150)  # below the published clients' 180 s
VISITOR_GONE_SECONDS = env.integer("VISITOR_GONE_SECONDS", 120)  # who has not listened for so long is mailed
CRAWLER_CONTACT = env.text("CRAWLER_CONTACT", BASE_URL)  # who a site's owner can turn to, in the User-Agent
CRAWL_DELAY_MILLISECONDS = env.integer("CRAWL_DELAY_MILLISECONDS", 1000)  # between two requests to one host
SDK_WAIT_SECONDS = env.integer("SDK_WAIT_SECONDS", 0 if TESTING else 20)  # a synchronous call waits so long at most

# --- Browser ------------------------------------------------------------------------------------------------------

# Not cached: a cached session would live under the key of whatever company was set when it was written.
SESSION_ENGINE = "tenants.sessions"
SESSION_COOKIE_NAME = "knowrithm_session"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True  # scripts take the CSRF token from the page
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.boolean("BEHIND_PROXY") else None
SECURE_HSTS_SECONDS = 31536000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_SSL_REDIRECT = SECURE and env.boolean("SECURE_SSL_REDIRECT", default=True)
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}
# Pages of others, which are not built for the strict policy: what each needs beside it, and nothing from elsewhere.
CONTENT_SECURITY_POLICY_EXCEPTIONS = {
    "/admin/": {"script-src": [SELF, UNSAFE_INLINE, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]},
    "/api/docs": {"style-src": [SELF, UNSAFE_INLINE]},
    "/api/redoc": {"style-src": [SELF, UNSAFE_INLINE], "worker-src": ["blob:"]},
}
# What no page of ours uses, so that no script that gets into one can either.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media", "geolocation",
        "gyroscope", "magnetometer", "microphone", "midi", "payment", "usb", "xr-spatial-tracking",
    )
)  # fmt: skip
# The widget and browser integrators call from anywhere, with tokens and never with cookies.
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_CREDENTIALS = False
CORS_URLS_REGEX = r"^/(api/|v1/|widget\.js$|health$|test$)"
CORS_ALLOW_HEADERS = [
    "accept", "authorization", "content-type", "last-event-id", "x-api-key", "x-api-secret", "x-request-id",
]  # fmt: skip
CORS_EXPOSE_HEADERS = [
    "X-Request-Id", "X-Agent-Trace-Id", "Retry-After",
    "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
]  # fmt: skip

# --- Mail ---------------------------------------------------------------------------------------------------------

EMAIL_HOST = env.text("SMTP_HOST")
MAIL_LOG = env.text("MAIL_LOG")  # the file with the mails that are written instead of sent
EMAIL_PORT = env.integer("SMTP_PORT", 587)
EMAIL_HOST_USER = env.text("SMTP_USER")
EMAIL_HOST_PASSWORD = env.text("SMTP_PASSWORD")
EMAIL_USE_SSL = env.boolean("SMTP_TLS", default=True) and EMAIL_PORT == 465  # TLS from the first byte
EMAIL_USE_TLS = env.boolean("SMTP_TLS", default=True) and not EMAIL_USE_SSL  # STARTTLS
EMAIL_TIMEOUT = 20  # seconds
DEFAULT_FROM_EMAIL = env.text("SMTP_FROM", "Knowrithm <noreply@localhost>")
RESEND_API_KEY = env.text("RESEND_API_KEY")
ANYMAIL = {"RESEND_API_KEY": RESEND_API_KEY, "REQUESTS_TIMEOUT": EMAIL_TIMEOUT}
EMAIL_BACKEND = env.text("EMAIL_BACKEND") or (
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_HOST
    else "anymail.backends.resend.EmailBackend"
    if RESEND_API_KEY
    else "django.core.mail.backends.console.EmailBackend"
)

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["knowrithm.formats"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

configure_structlog()

LOGGING = logging_config(json=env.boolean("LOG_JSON"), level=env.text("LOG_LEVEL", "INFO"))

UNFOLD = {
    "SITE_TITLE": "Knowrithm",
    "SITE_HEADER": "Knowrithm",
    "SITE_URL": "/",
    "SITE_ICON": lambda request: static("knowrithm/img/favicon.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("knowrithm/img/favicon.svg")}
    ],
    "DASHBOARD_CALLBACK": "analytics.admin.front_page",
    "COLORS": {
        "primary": {
            "50": "#eef7f3", "100": "#d6ebe3", "200": "#aed7c8", "300": "#86c9b2", "400": "#5fb59a", "500": "#3f9b80",
            "600": "#1c6955", "700": "#12634f", "800": "#0d4f40", "900": "#0a3f33", "950": "#06251e",
        }
    },
}  # fmt: skip
