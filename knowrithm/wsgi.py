"""For WSGI servers. Without ASGI there are no event streams: clients poll."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "knowrithm.settings")

import django
from django.core.handlers.wsgi import WSGIHandler

from knowrithm.charset import WsgiRequest

django.setup(set_prefix=False)


class Handler(WSGIHandler):
    request_class = WsgiRequest


application = Handler()
