from django.db import models


class MetricType(models.TextChoices):
    GAUGE = "gauge"  # how much there is now
    COUNTER = "counter"  # how much has come together; it only grows
