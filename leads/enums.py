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
    CREATED = "created"


class ConsentKind(models.TextChoices):
    MARKETING = "marketing"
    DATA_PROCESSING = "data_processing"


CONSENT_FIELDS = {f"consent_{kind.value}": kind for kind in ConsentKind}  # of a lead


class ImportStatus(models.TextChoices):
    CHECKED = "checked"
    RUNNING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
