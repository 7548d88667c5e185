"""What is known before the company is: companies, people, credentials, and which company an agent belongs to."""

from tenants.models.companies import (
    MIN_AUDIT_DAYS,
    RESTORE_PERIOD,
    AgentRoute,
    Company,
    Domain,
    SystemConfig,
    TemplateSchema,
)
from tenants.models.dead_letters import DeadLetter
from tenants.models.keys import (
    ApiKey,
    default_scopes,
)
from tenants.models.links import (
    EmailVerification,
    Invitation,
    PasswordReset,
    SingleUseLink,
)
from tenants.models.people import (
    LAST_SEEN_RESOLUTION,
    User,
    UserManager,
    UserSession,
)
from tenants.models.sign_in import (
    EmailDomain,
    ProviderIdentity,
    RecoveryCode,
    SingleSignOn,
    TwoFactor,
)

__all__ = [
    "LAST_SEEN_RESOLUTION",
    "MIN_AUDIT_DAYS",
    "RESTORE_PERIOD",
    "AgentRoute",
    "ApiKey",
    "Company",
    "DeadLetter",
    "Domain",
    "EmailDomain",
    "EmailVerification",
    "Invitation",
    "PasswordReset",
    "ProviderIdentity",
    "RecoveryCode",
    "SingleSignOn",
    "SingleUseLink",
    "SystemConfig",
    "TemplateSchema",
    "TwoFactor",
    "User",
    "UserManager",
    "UserSession",
    "default_scopes",
]
