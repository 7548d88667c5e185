from django.db import models


class Kind(models.TextChoices):
    HANDOVER = "handover", "A visitor wants a person"
    ASSIGNED = "assigned", "A conversation was given to me"
    MESSAGE = "message", "A visitor wrote in my conversation"
    LEAD = "lead", "A visitor registered, or a lead was added"
    DOCUMENT = "document", "A document could not be read"


MAILED_UNASKED = frozenset({Kind.HANDOVER, Kind.ASSIGNED, Kind.MESSAGE})  # the others are mailed to who wants it
