"""Where files lie: static ones compressed under names that change with their content, uploaded ones in a bucket."""

from __future__ import annotations

from django.contrib.staticfiles.storage import HashedFilesMixin
from storages.backends.s3 import S3Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]

from knowrithm.db.schema import schema_name

_, MODULE_IMPORTS = HashedFilesMixin._js_module_import_aggregation_patterns  # type: ignore[attr-defined]


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Also rewrites the imports between our JavaScript modules, so that they load each other by their hashed names.

    Django's own switch for this would read every package's scripts too, and some import what they do not ship.
    """

    patterns = (*CompressedManifestStaticFilesStorage.patterns, ("knowrithm/js/*.js", MODULE_IMPORTS))


class CompanyBucketStorage(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """Each company's files below its schema's name, whatever name is asked for."""

    @property
    def location(self) -> str:
        return schema_name()
