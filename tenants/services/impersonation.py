"""A super admin acts as a person of a company: for a short time, for a reason, and in the company's own audit log."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from knowrithm.errors import ConflictError, ForbiddenError, NotFoundError
from knowrithm.origin import current_origin
from knowrithm.principal import Principal, Role
from tenants import tokens
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.enums import SessionKind
from tenants.models import User, UserSession


@transaction.atomic
def start_impersonation(
    *, actor: Principal, user_id: uuid.UUID, reason: str = "", kind: SessionKind = SessionKind.API
) -> UserSession:
    """A session as the person. Raises `ForbiddenError` for anybody but a super admin, and for another super admin."""
    actor.must_be_oneself()
    if not actor.is_super_admin:
        raise ForbiddenError("Only a super admin can act as another person.")
    user = User.objects.select_related("company").filter(pk=user_id).first()
    if user is None:
        raise NotFoundError("There is no such person.")
    if user.role == Role.SUPER_ADMIN or user.company is None:
        raise ForbiddenError("Nobody can act as a super admin.")
    if not user.may_sign_in:
        raise ConflictError("This person cannot sign in, so nobody can act as them. Activate them first.")
    origin, now = current_origin(), timezone.now()
    session = UserSession.objects.create(
        user=user,
        kind=kind,
        impersonator=User.objects.select_related("company").get(pk=actor.id),
        ip_address=origin.ip_address,
        user_agent=origin.user_agent[:300],
        expires_at=now + tokens.IMPERSONATION_LIFETIME,
    )
    with log_of(user.company):
        record_event(
            actor=actor,
            event_type="user.impersonation_started",
            entity=user,
            changes={"reason": (None, reason), "expires_at": (None, session.expires_at)},
            risk_level=RiskLevel.HIGH,
            description=f"Until {session.expires_at:%H:%M} UTC at most. Reason: {reason or 'none given'}",
        )
    return session
