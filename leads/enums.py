from django.db import models


class LeadStatus(models.TextChoices):
    NEW = "new"
    CONTACTED = "contacted"
    QUALIFIED = "qualified"
    CONVERTED = "converted"
    LOST = "lost"


class EventKind(models.TextChoices):
    STATUS = "status"
    NOTE = "note"
    MERGED = "merged"
    UNMERGED = "unmerged"
    IMPORTED = "imported"


class ConsentKind(models.TextChoices):
    MARKETING = "marketing"
    DATA_PROCESSING = "data_processing"


class ImportStatus(models.TextChoices):
    CHECKED = "checked"
    RUNNING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
