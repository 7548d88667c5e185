"""For WSGI servers. Without ASGI there are no event streams: clients poll."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "knowrithm.settings")
application = get_wsgi_application()
