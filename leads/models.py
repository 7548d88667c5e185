"""Visitors who have said who they are."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from agents.models import Agent
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet
from leads.enums import LeadStatus


class Lead(ArchivableModel):
    """One person, known to one agent by e-mail address: registering again is the same lead."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="leads")
    first_name = models.CharField(max_length=100)
    last_name = models.CharField(max_length=100, blank=True)
    email = models.EmailField()
    phone = models.CharField(max_length=40, blank=True)
    source = models.CharField(max_length=100, blank=True, default="widget")
    notes = models.TextField(blank=True)
    status = models.CharField(max_length=12, choices=LeadStatus, default=LeadStatus.NEW)
    consent_marketing = models.BooleanField(default=False)
    consent_data_processing = models.BooleanField(default=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    last_activity = models.DateTimeField(default=timezone.now)

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint("agent", Lower("email"), name="lead_email_unique_in_agent")]

    def __str__(self) -> str:
        return self.full_name or self.email

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()
