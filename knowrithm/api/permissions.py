"""What each route and page asks of its caller. Every view declares it; a view that forgets is refused, and a test
fails. `manage.py permissions_table` writes all of it down in docs/permissions.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from knowrithm.api.caller import caller
from knowrithm.errors import ForbiddenError
from knowrithm.principal import NEEDS_ADMIN, Principal, PrincipalKind, Resource, Role, Scope

USER, API_KEY, LEAD = PrincipalKind.USER, PrincipalKind.API_KEY, PrincipalKind.LEAD

V = TypeVar("V", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """`scopes`: any one of them is enough (a user's come from the role), unless the access `needs_all`.

    `kinds`: who may come at all. `roles`: the person's, or of a key that of its maker. `is_oneself`: not while a super
    admin acts as the person. An archived company's credentials are refused everywhere but where `allows_archived` says
    otherwise.
    """

    scopes: frozenset[Scope] = frozenset()
    needs_all: bool = False
    kinds: frozenset[PrincipalKind] = frozenset({USER, API_KEY})
    roles: frozenset[Role] | None = None
    is_public: bool = False
    is_oneself: bool = False
    allows_archived: bool = False  # also for the admins of an archived company, while it can be restored

    def is_within(self, has: Callable[[Scope], bool]) -> bool:
        """Whether who has these scopes has enough."""
        enough = all if self.needs_all else any
        return not self.scopes or enough(has(scope) for scope in self.scopes)


ADMINS = frozenset({Role.ADMIN, Role.SUPER_ADMIN})

PUBLIC = Access(is_public=True)
READ = Access(frozenset({Scope.READ, Scope.WRITE, Scope.ADMIN}))
WRITE = Access(frozenset({Scope.WRITE}))
ADMIN = Access(frozenset({Scope.ADMIN}))
READ_AND_ADMIN = Access(frozenset({Scope.READ, Scope.ADMIN}), needs_all=True)
ADMIN_OR_READ_KEY = Access(READ.scopes, roles=ADMINS)
ADMIN_OR_WRITE_KEY = Access(frozenset({Scope.WRITE}), roles=ADMINS)
SIGNED_IN = Access(kinds=frozenset({USER}))
SIGNED_IN_ADMIN = Access(kinds=frozenset({USER}), roles=ADMINS)
ONESELF = Access(kinds=frozenset({USER}), is_oneself=True)
ANYONE_OF_COMPANY = Access()
SIGNED_IN_OR_LEAD = Access(kinds=frozenset({USER, LEAD}))
VISITOR = Access(kinds=frozenset({LEAD}))
READ_OR_LEAD = Access(READ.scopes, kinds=frozenset({USER, API_KEY, LEAD}))
WRITE_OR_LEAD = Access(WRITE.scopes, kinds=frozenset({USER, API_KEY, LEAD}))
SUPER_ADMIN = Access(kinds=frozenset({USER}), roles=frozenset({Role.SUPER_ADMIN}))
SUPER_ADMIN_ONESELF = Access(kinds=frozenset({USER}), roles=frozenset({Role.SUPER_ADMIN}), is_oneself=True)

BY_VERB = {"PUT": Scope.UPDATE, "PATCH": Scope.UPDATE, "DELETE": Scope.DELETE}


@cache
def with_verb(access: Access, method: str) -> Access:
    """What is open to `write` is open to `update` with PUT and PATCH too, and to `delete` with DELETE."""
    scope = BY_VERB.get(method)
    if scope is None or Scope.WRITE not in access.scopes or access.needs_all:
        return access
    return replace(access, scopes=access.scopes | {scope})


def declare(access: Access | dict[str, Access]) -> Callable[[V], V]:
    """For plain views and pages, which check it themselves: what they ask, for the table and the tests. A mapping says
    it by verb.
    """

    def mark(view: V) -> V:
        view.access = access  # type: ignore[attr-defined]  # a function may carry it
        return view

    return mark


def access_of(view: Any) -> Access:
    """`view.access` is one Access, or a mapping from the viewset's action to one."""
    action = getattr(view, "action", None)
    if not isinstance(getattr(view, "access", None), Access) and action in {None, "metadata"}:
        return PUBLIC  # a verb that the view does not have (405), or OPTIONS
    return declared_access(view, action)


def declared_access(view: Any, action: str | None) -> Access:
    """Of an API view's action, or of a plain view's or page's verb. Raises `ImproperlyConfigured` without one."""
    declared = getattr(view, "access", None)
    found = declared.get(action) if isinstance(declared, dict) else declared
    if not isinstance(found, Access):
        raise ImproperlyConfigured(f"{getattr(view, '__name__', type(view).__name__)} declares no access ({action}).")
    return found


def resource_of(view: Any) -> Resource | None:
    """The chapter of the API that a viewset belongs to: its app's, or the one that it names as `resource`."""
    kind = view if isinstance(view, type) else type(view)
    app = kind.__module__.partition(".")[0]
    named: Resource | None = getattr(kind, "resource", None)
    return named or (Resource.COMPANY if app == "tenants" else Resource(app) if app in set(Resource) else None)


def check_access(access: Access, principal: Principal, resource: Resource | None) -> Principal:
    """The principal with what it may do with `resource`. Raises `ForbiddenError`. Every door asks here."""
    if principal.kind not in access.kinds:
        raise ForbiddenError(f"A {principal.kind.replace('_', ' ')} credential cannot be used here.")
    if access.is_oneself:
        principal.must_be_oneself()
    if access.roles is not None and principal.role is not None and principal.role not in access.roles:
        raise ForbiddenError(NEEDS_ADMIN)
    narrowed = principal.within(resource)
    # A lead has no scopes: the services narrow it to its own conversations.
    if principal.kind != LEAD and not access.is_within(narrowed.has):
        needed = (" and " if access.needs_all else " or ").join(sorted(access.scopes))
        within = f" for {resource}" if narrowed is not principal and resource else ""
        raise ForbiddenError(f"This needs the scope {needed}{within}.")
    return narrowed


class HasAccess(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        access = with_verb(access_of(view), request.method or "")
        if access.is_public:
            return True
        principal = caller(request)
        if principal is None:
            raise NotAuthenticated
        try:
            narrowed = check_access(access, principal, resource_of(view))
        except ForbiddenError as error:  # the browsable API expects one of the framework's own
            raise PermissionDenied(str(error), code=error.code) from None
        if narrowed is not principal:
            request.user = narrowed  # type: ignore[assignment]  # what the services see
        return True
