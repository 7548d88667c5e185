from __future__ import annotations

from rest_framework.request import Request

from knowrithm.principal import Principal


def caller(request: Request) -> Principal | None:
    """The request's principal, if it has a credential (DRF's own types know only Django's users)."""
    user: object = request.user
    return user if isinstance(user, Principal) else None
