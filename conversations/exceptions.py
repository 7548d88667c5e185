from __future__ import annotations

from knowrithm.errors import ConflictError, InvalidInputError, ServiceError


class AgentInUseError(InvalidInputError):
    code = "AGENT_HAS_ACTIVE_CONVERSATIONS"


class StreamingUnavailableError(ServiceError):
    code = "STREAMING_UNAVAILABLE"
    status = 503


class ConversationArchivedError(InvalidInputError):
    code = "CONVERSATION_ARCHIVED"


class ReplacedMessageError(ConflictError):
    """A newer one stands in its place."""

    code = "MESSAGE_REPLACED"


class NotNewestError(ConflictError):
    code = "NOT_THE_NEWEST_MESSAGE"


class StillAnsweringError(ConflictError):
    code = "STILL_ANSWERING"


class ConversationTakenError(ConflictError):
    """Its text names who has it."""

    code = "CONVERSATION_TAKEN"


class NotTakenError(ConflictError):
    code = "CONVERSATION_NOT_TAKEN"


class HandoverNotOfferedError(ConflictError):
    code = "HANDOVER_NOT_OFFERED"


class HandoverStateError(ConflictError):
    code = "HANDOVER_STATE"


class CannedReplyExistsError(ConflictError):
    code = "CANNED_REPLY_EXISTS"


class NotReplayableError(ConflictError):
    code = "NOT_REPLAYABLE"
