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


class Placement(models.TextChoices):
    """Where the widget's button stands on the page."""

    BOTTOM_RIGHT = "bottom-right", "Bottom right"
    BOTTOM_LEFT = "bottom-left", "Bottom left"
    TOP_RIGHT = "top-right", "Top right"
    TOP_LEFT = "top-left", "Top left"
    RIGHT = "right"
    LEFT = "left"
    TOP = "top"
    BOTTOM = "bottom"


class WidgetTheme(models.TextChoices):
    AUTO = "auto", "As the visitor has it"
    LIGHT = "light"
    DARK = "dark"


class Ask(models.TextChoices):
    """When the widget asks visitors who they are."""

    BEFORE = "before", "Before the first question"
    AFTER = "after", "After some answers"
    NONE = "none", "Never"


class AskedField(models.TextChoices):
    REQUIRED = "required"
    OPTIONAL = "optional"
    HIDDEN = "hidden", "Not asked"


class FieldKind(models.TextChoices):
    """What stands in a field that a company has defined for its leads."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean", "Yes or no"
    CHOICE = "choice"
