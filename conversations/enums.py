from django.db import models


class ConversationStatus(models.TextChoices):
    """The values are those of the published clients, to whom `archived` is what may be opened again by writing."""

    ACTIVE = "active"
    CLOSED = "archived", "Archived"
    ARCHIVED = "deleted", "Deleted"  # of no stored row: one with `archived_at`


class EntityType(models.TextChoices):
    USER = "user"
    LEAD = "lead"


class MessageRole(models.TextChoices):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


AUTHORS = ("visitor", "agent", "person", "system")  # who speaks


class MessageStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class Feedback(models.IntegerChoices):
    BAD = -1
    GOOD = 1


class ReplayInputs(models.TextChoices):
    THEN = "then", "As they were"
    NOW = "now", "As they are today"


class TopicEmbedder(models.TextChoices):
    BUILTIN = "builtin", "Built in"
    COMPANY = "company", "The agent's own"


class Owner(models.TextChoices):
    """Who has a conversation. Exactly one at a time: `conversations.handover` says what may follow what."""

    AGENT = "agent", "The agent"
    WAITING = "waiting", "Waiting for a person"
    PERSON = "person", "A person"
    CLOSED = "closed", "Closed"


class HandoverReason(models.TextChoices):
    VISITOR = "visitor", "The visitor asked"
    RULE = "rule", "A rule of the agent"
    EVIDENCE = "evidence", "Questions stayed open"
    GUARDRAIL = "guardrail", "A guardrail refused"
    PERSON = "person", "A person took it"
    LEFT = "left", "Its person left"
    SILENT = "silent", "Its person did not answer"


class HandoverEnd(models.TextChoices):
    HANDED_BACK = "handed_back", "Handed back"
    CLOSED = "closed", "Closed"
    LEFT = "left", "Its person left"
    SILENT = "silent", "Its person did not answer"


STOPPED = "STOPPED"  # the error code of an answer that its reader stopped before it began: no fault
