"""What happens to companies, people and credentials."""

from tenants.services.api_keys import API_SECRET, NewApiKey, create_api_key, revoke_api_key
from tenants.services.companies import add_agent_route, create_company
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
    record_sign_in,
    refresh_session,
    session_by_id,
    sign_in,
    start_session,
    verify_password,
)

__all__ = [
    "API_SECRET",
    "NewApiKey",
    "SignedIn",
    "add_agent_route",
    "change_password",
    "create_api_key",
    "create_company",
    "create_user",
    "end_session",
    "ensure_super_admin",
    "principal_of",
    "record_sign_in",
    "refresh_session",
    "register_company",
    "register_first_admin",
    "revoke_api_key",
    "session_by_id",
    "sign_in",
    "start_session",
    "update_profile",
    "verify_password",
]
