"""What happens to companies, people and credentials."""

from tenants.services.api_keys import API_SECRET, NewApiKey, create_api_key, revoke_api_key
from tenants.services.companies import add_agent_route, create_company, update_company
from tenants.services.lifecycle import (
    archive_companies,
    archive_company,
    purge_company,
    restore_companies,
    restore_company,
)
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
    start_session,
    verify_password,
)

__all__ = [
    "API_SECRET",
    "NewApiKey",
    "SignedIn",
    "add_agent_route",
    "archive_companies",
    "archive_company",
    "change_password",
    "create_api_key",
    "create_company",
    "create_user",
    "end_session",
    "ensure_super_admin",
    "principal_of",
    "purge_company",
    "refresh_session",
    "register_company",
    "register_first_admin",
    "restore_companies",
    "restore_company",
    "revoke_api_key",
    "start_session",
    "update_company",
    "update_profile",
    "verify_password",
]
