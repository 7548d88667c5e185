"""The least that Django can do: one view, no middleware, no database. What `authenticated_get` is compared with."""

from __future__ import annotations

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[], SECRET_KEY="none", USE_TZ=True)


def bare(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"items": [{"id": number, "name": f"Agent {number}"} for number in range(10)]})


urlpatterns = [path("bare", bare)]
application = get_asgi_application()
