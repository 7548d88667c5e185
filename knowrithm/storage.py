"""How static files are served in production: compressed, and under names that change with their content."""

from __future__ import annotations

from django.contrib.staticfiles.storage import HashedFilesMixin
from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]

_, MODULE_IMPORTS = HashedFilesMixin._js_module_import_aggregation_patterns  # type: ignore[attr-defined]


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Also rewrites the imports between our JavaScript modules, so that they load each other by their hashed names.

    Django's own switch for this would read every package's scripts too, and some import what they do not ship.
    """

    patterns = (*CompressedManifestStaticFilesStorage.patterns, ("knowrithm/js/*.js", MODULE_IMPORTS))
