"""What happens to companies, people and credentials."""

from tenants.selectors import session_by_id
from tenants.services.api_keys import API_SECRET, NewApiKey, create_api_key, revoke_api_key
from tenants.services.companies import add_agent_route, create_company, update_company
from tenants.services.invitations import (
    accept_invitation,
    invitation_of_link,
    invite_user,
    resend_invitation,
    revoke_invitation,
)
from tenants.services.lifecycle import (
    archive_companies,
    archive_company,
    purge_company,
    restore_companies,
    restore_company,
)
from tenants.services.passwords import (
    change_password,
    force_password_reset,
    person_of_reset_link,
    request_password_reset,
    reset_password,
    unlock_user,
)
from tenants.services.people import (
    create_user,
    ensure_super_admin,
    register_company,
    register_first_admin,
    update_profile,
)
from tenants.services.sessions import (
    SignedIn,
    close_browser_session,
    end_other_sessions,
    end_session,
    principal_of,
    refresh_session,
    start_browser_session,
    start_session,
    verify_password,
)
from tenants.services.verification import request_verification, verify_email

__all__ = [
    "API_SECRET",
    "NewApiKey",
    "SignedIn",
    "accept_invitation",
    "add_agent_route",
    "archive_companies",
    "archive_company",
    "change_password",
    "close_browser_session",
    "create_api_key",
    "create_company",
    "create_user",
    "end_other_sessions",
    "end_session",
    "ensure_super_admin",
    "force_password_reset",
    "invitation_of_link",
    "invite_user",
    "person_of_reset_link",
    "principal_of",
    "purge_company",
    "refresh_session",
    "register_company",
    "register_first_admin",
    "request_password_reset",
    "request_verification",
    "resend_invitation",
    "reset_password",
    "restore_companies",
    "restore_company",
    "revoke_api_key",
    "revoke_invitation",
    "session_by_id",
    "start_browser_session",
    "start_session",
    "unlock_user",
    "update_company",
    "update_profile",
    "verify_email",
    "verify_password",
]
