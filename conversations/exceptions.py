from __future__ import annotations

from knowrithm.errors import ConflictError, InvalidInputError, ServiceError


class AgentInUseError(InvalidInputError):
    code = "AGENT_HAS_ACTIVE_CONVERSATIONS"


class AgentUnavailableError(ConflictError):
    code = "AGENT_UNAVAILABLE"


class StreamingUnavailableError(ServiceError):
    code = "STREAMING_UNAVAILABLE"
    status = 503
