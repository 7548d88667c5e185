"""How static files are served in production: compressed, and under names that change with their content."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Also rewrites the imports between our JavaScript modules, so that they load each other by their hashed names."""

    support_js_module_import_aggregation = True
