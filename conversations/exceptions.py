from __future__ import annotations

from knowrithm.errors import ConflictError, InvalidInputError, ServiceError


class AgentInUseError(InvalidInputError):
    code = "AGENT_HAS_ACTIVE_CONVERSATIONS"


class AgentUnavailableError(ConflictError):
    code = "AGENT_UNAVAILABLE"


class StreamingUnavailableError(ServiceError):
    code = "STREAMING_UNAVAILABLE"
    status = 503


class ConversationArchivedError(InvalidInputError):
    code = "CONVERSATION_ARCHIVED"


class ReplacedMessageError(ConflictError):
    code = "MESSAGE_REPLACED"


class NotNewestError(ConflictError):
    code = "NOT_THE_NEWEST_MESSAGE"


class StillAnsweringError(ConflictError):
    code = "STILL_ANSWERING"


class NotReplayableError(ConflictError):
    code = "NOT_REPLAYABLE"
