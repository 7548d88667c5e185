"""Conversations, their messages, and what each answer rests on."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from agents.models import Agent
from conversations.enums import ConversationStatus, EntityType, Feedback, MessageRole, MessageStatus
from documents.ingestion.locators import describe
from documents.models import Document, DocumentChunk
from knowrithm.db.lease import LeasedModel
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet
from leads.models import Lead


class Conversation(ArchivableModel):
    """Between an agent and either a person of the company (`user_id`) or a lead."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="conversations")
    entity_type = models.CharField(max_length=4, choices=EntityType)
    user_id = models.UUIDField(null=True, blank=True, editable=False)
    lead = models.ForeignKey(Lead, models.CASCADE, null=True, blank=True, related_name="conversations")
    title = models.CharField(max_length=200, default="New Conversation")
    status = models.CharField(max_length=8, choices=ConversationStatus, default=ConversationStatus.ACTIVE)
    metadata = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=list, blank=True)
    max_context_length = models.PositiveIntegerField(default=4000)
    message_count = models.PositiveIntegerField(default=0)  # live ones
    last_position = models.PositiveIntegerField(default=0, editable=False)
    total_tokens = models.PositiveBigIntegerField(default=0)
    last_activity = models.DateTimeField(default=timezone.now)

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["-last_activity"]
        indexes = [
            models.Index(fields=["archived_at", "-last_activity"]),
            models.Index(fields=["agent", "archived_at", "-last_activity"]),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def entity_id(self) -> uuid.UUID | None:
        return self.lead_id if self.entity_type == EntityType.LEAD else self.user_id


class Message(LeasedModel, ArchivableModel):
    """A message. An assistant's is made empty together with the question it replies to, and filled by the turn.

    A question that was put anew, or an answer made again, `replaces` the one before, which is archived.
    """

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    position = models.PositiveIntegerField()
    role = models.CharField(max_length=9, choices=MessageRole)
    content = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=MessageStatus, default=MessageStatus.COMPLETED)
    reply_to = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="replies")
    replaces = models.OneToOneField("self", models.SET_NULL, null=True, blank=True, related_name="replaced_by")
    task_id = models.UUIDField(null=True, blank=True, editable=False)
    is_refusal = models.BooleanField(default=False)
    agent_version = models.PositiveIntegerField(null=True, blank=True)  # of the agent that answered
    is_draft = models.BooleanField(default=False)  # asked of the agent's draft, by the company's people
    model_used = models.CharField(max_length=160, blank=True)
    processing_time = models.FloatField(null=True, blank=True)  # seconds
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=16, decimal_places=8, null=True, blank=True)  # unknown where empty
    cost_currency = models.CharField(max_length=3, blank=True)
    # Models that were asked before the one that answered, each with `code` and `error`; or why there is no answer.
    model_failures = models.JSONField(default=list, blank=True)
    confidence_score = models.FloatField(null=True, blank=True)
    timings = models.JSONField(default=dict, blank=True)  # seconds by stage
    warnings = models.JSONField(default=list, blank=True)  # what was mended in the answer, in sentences
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    user_feedback = models.SmallIntegerField(null=True, blank=True, choices=Feedback)
    feedback_comment = models.CharField(max_length=2000, blank=True)

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "position"], name="message_position_unique"),
            models.UniqueConstraint(
                fields=["reply_to"], condition=models.Q(archived_at=None), name="message_one_live_reply"
            ),
        ]
        indexes = [models.Index(fields=["status", "lease_until"])]

    def __str__(self) -> str:
        return f"{self.role}: {self.content[:60]}"


class Citation(models.Model):
    """A passage that was offered to the model for one answer, as it was then; `is_cited` if the answer points to it.

    `quote` is a span of `content` that the answer repeats word for word, or empty.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, models.CASCADE, related_name="citations")
    number = models.PositiveSmallIntegerField()
    document = models.ForeignKey(Document, models.SET_NULL, null=True, related_name="+")
    chunk = models.ForeignKey(DocumentChunk, models.SET_NULL, null=True, related_name="+")
    document_name = models.CharField(max_length=300)
    source_url = models.CharField(max_length=2000, blank=True)
    content = models.TextField()
    headings = models.JSONField(default=list, blank=True)
    quote = models.TextField(blank=True)
    locator = models.JSONField(default=dict)
    score = models.FloatField()
    evidence = models.FloatField()
    is_cited = models.BooleanField(default=False)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="citation_number_unique")]

    def __str__(self) -> str:
        return f"[Source {self.number}] {self.document_name}"

    @property
    def locator_label(self) -> str:
        return describe(self.locator)
