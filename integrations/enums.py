from django.db import models


class EventType(models.TextChoices):
    """What a webhook can be told. The names are part of the wire: other software compares them."""

    AGENT_CREATED = "agent.created", "An agent was made"
    AGENT_UPDATED = "agent.updated", "An agent was changed"
    AGENT_PUBLISHED = "agent.published", "A draft or an old version was published"
    DOCUMENT_PROCESSED = "document.processed", "A document was read"
    DOCUMENT_FAILED = "document.failed", "A document could not be read"
    LEAD_CREATED = "lead.created", "A visitor registered, or a lead was added"
    LEAD_UPDATED = "lead.updated", "A lead was changed"
    LEAD_STATUS_CHANGED = "lead.status_changed", "A lead has another status"
    CONVERSATION_STARTED = "conversation.started", "A conversation began"
    CONVERSATION_ENDED = "conversation.ended", "A conversation was closed or archived"
    HANDOVER_REQUESTED = "handover.requested", "A person was asked for"
    HANDOVER_ASSIGNED = "handover.assigned", "A person has a conversation"
    HANDOVER_ENDED = "handover.ended", "A conversation was handed back or closed"
    MESSAGE_RECEIVED = "message.received", "A question was asked"
    MESSAGE_ANSWERED = "message.answered", "A question was answered"
    MESSAGE_FAILED = "message.failed", "A question could not be answered"


TEST_EVENT = "webhook.test"


WEBHOOK_STATES = ("active", "failing", "disabled", "off")  # disabled: by us; off: by its owner


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    DELIVERED = "delivered"
    FAILED = "failed"


UNFINISHED = (DeliveryStatus.PENDING, DeliveryStatus.PROCESSING)
