from django.db import models


class ConversationStatus(models.TextChoices):
    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


class EntityType(models.TextChoices):
    USER = "user"
    LEAD = "lead"


class MessageRole(models.TextChoices):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


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
