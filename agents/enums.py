from django.db import models


class AgentStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"
    TRAINING = "training"
    MAINTENANCE = "maintenance"


class AnswerLength(models.TextChoices):
    SHORT = "short", "Short: a sentence or two"
    BALANCED = "balanced", "Balanced: as long as it needs to be"
    DETAILED = "detailed", "Detailed: with what belongs to it"


class AgentKind(models.TextChoices):
    AGENT = "agent"
    SUPERVISOR = "supervisor"
