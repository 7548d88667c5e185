from __future__ import annotations

from knowrithm.errors import ConflictError, ForbiddenError, InvalidInputError


class UnknownModelError(InvalidInputError):
    code = "UNKNOWN_MODEL"


class SettingsInUseError(ConflictError):
    code = "SETTINGS_IN_USE"


class DefaultSettingsError(InvalidInputError):
    code = "DEFAULT_SETTINGS"


class NoDraftError(ConflictError):
    code = "NO_DRAFT"


class VersionUnchangedError(ConflictError):
    code = "VERSION_UNCHANGED"


class SettingsGoneError(ConflictError):
    code = "SETTINGS_GONE"


class DuplicateEntryError(ConflictError):
    code = "DUPLICATE_ENTRY"


class BuiltinProviderError(ConflictError):
    code = "BUILTIN_PROVIDER"


class AgentUnavailableError(ConflictError):
    code = "AGENT_UNAVAILABLE"


class OriginNotAllowedError(ForbiddenError):
    code = "ORIGIN_NOT_ALLOWED"
