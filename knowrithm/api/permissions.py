"""What each route asks of its caller. Every view declares it; a view that forgets is refused, and a test fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from knowrithm.api.caller import caller
from knowrithm.principal import PrincipalKind, Role, Scope

USER, API_KEY, LEAD = PrincipalKind.USER, PrincipalKind.API_KEY, PrincipalKind.LEAD


@dataclass(frozen=True, slots=True)
class Access:
    """`scopes`: any one of them is enough (a user's come from the role), unless the access `needs_all`.

    `kinds`: who may come at all. An archived company's credentials are refused everywhere but where
    `allows_archived` says otherwise.
    """

    scopes: frozenset[Scope] = frozenset()
    needs_all: bool = False
    kinds: frozenset[PrincipalKind] = frozenset({USER, API_KEY})
    roles: frozenset[Role] | None = None
    is_public: bool = False
    allows_archived: bool = False  # also for the admins of an archived company, while it can be restored


PUBLIC = Access(is_public=True)
READ = Access(frozenset({Scope.READ, Scope.WRITE, Scope.ADMIN}))
WRITE = Access(frozenset({Scope.WRITE}))
ADMIN = Access(frozenset({Scope.ADMIN}))
READ_AND_ADMIN = Access(frozenset({Scope.READ, Scope.ADMIN}), needs_all=True)
ADMIN_OR_WRITE_KEY = Access(frozenset({Scope.WRITE}), roles=frozenset({Role.ADMIN, Role.SUPER_ADMIN}))
SIGNED_IN = Access(kinds=frozenset({USER}))
ANYONE_OF_COMPANY = Access()
READ_OR_LEAD = Access(READ.scopes, kinds=frozenset({USER, API_KEY, LEAD}))
WRITE_OR_LEAD = Access(WRITE.scopes, kinds=frozenset({USER, API_KEY, LEAD}))
SUPER_ADMIN = Access(kinds=frozenset({USER}), roles=frozenset({Role.SUPER_ADMIN}))


def access_of(view: Any) -> Access:
    """`view.access` is one Access, or a mapping from the viewset's action to one."""
    declared = getattr(view, "access", None)
    if isinstance(declared, Access):
        return declared
    action = getattr(view, "action", None)
    if action is None or action == "metadata":  # a verb that the view does not have (405), or OPTIONS
        return PUBLIC
    if isinstance(declared, dict) and action in declared:
        found: Access = declared[action]
        return found
    raise ImproperlyConfigured(f"{type(view).__name__} does not declare the access of {action!r}.")


class HasAccess(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        access = access_of(view)
        if access.is_public:
            return True
        principal = caller(request)
        if principal is None:
            raise NotAuthenticated
        if principal.kind not in access.kinds:
            raise PermissionDenied(f"A {principal.kind.replace('_', ' ')} credential cannot be used here.")
        if access.roles is not None and principal.role is not None and principal.role not in access.roles:
            raise PermissionDenied("Your role does not allow this. Ask an admin of your company.")
        # A lead has no scopes: the services narrow it to its own conversations.
        enough = all if access.needs_all else any
        if principal.kind != LEAD and access.scopes and not enough(principal.has(scope) for scope in access.scopes):
            needed = (" and " if access.needs_all else " or ").join(sorted(access.scopes))
            raise PermissionDenied(f"This needs the scope {needed}.")
        return True
