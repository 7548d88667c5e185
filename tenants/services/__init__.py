"""What happens to companies, people and credentials."""

from tenants.services.api_keys import API_SECRET, NewApiKey, create_api_key, revoke_api_key
from tenants.services.companies import add_agent_route, create_company
from tenants.services.configuration import set_config
from tenants.services.governance import archive_user, change_user_role, change_user_status
from tenants.services.impersonation import Impersonation, end_impersonation, start_impersonation
from tenants.services.people import (
    change_password,
    create_user,
    ensure_super_admin,
    register_company,
    register_first_admin,
    update_profile,
)
from tenants.services.sessions import (
    SignedIn,
    end_session,
    principal_of,
    refresh_session,
    session_by_id,
    start_session,
    verify_password,
)

__all__ = [
    "API_SECRET",
    "Impersonation",
    "NewApiKey",
    "SignedIn",
    "add_agent_route",
    "archive_user",
    "change_password",
    "change_user_role",
    "change_user_status",
    "create_api_key",
    "create_company",
    "create_user",
    "end_impersonation",
    "end_session",
    "ensure_super_admin",
    "principal_of",
    "refresh_session",
    "register_company",
    "register_first_admin",
    "revoke_api_key",
    "session_by_id",
    "set_config",
    "start_impersonation",
    "start_session",
    "update_profile",
    "verify_password",
]
