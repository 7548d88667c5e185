"""Conversations, their messages, and what each answer rests on."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Lower, Upper
from django.utils import timezone

from agents.models import Agent
from conversations.enums import (
    ConversationStatus,
    EntityType,
    Feedback,
    HandoverEnd,
    HandoverReason,
    MessageRole,
    MessageStatus,
    Owner,
    TopicEmbedder,
)
from conversations.wording import in_words
from documents.ingestion.locators import describe
from documents.models import Document, DocumentChunk
from knowrithm.db.fields import EncryptedTextField
from knowrithm.db.lease import LeasedModel
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel
from leads.models import Lead

# Nobody gave these: the second is what the widgets send for every conversation.
UNTITLED = frozenset({"New Conversation", "Website Chat"})


class Conversation(ArchivableModel):
    """Between an agent and either a person of the company (`user_id`) or a lead."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="conversations")
    entity_type = models.CharField(max_length=4, choices=EntityType)
    user_id = models.UUIDField(null=True, blank=True, editable=False)
    api_key_id = models.UUIDField(null=True, blank=True, editable=False)  # that began it: its guardrails hold in it
    lead = models.ForeignKey(Lead, models.CASCADE, null=True, blank=True, related_name="conversations")
    title = models.CharField(max_length=200, default="New Conversation")
    language = models.CharField(max_length=8, blank=True)  # of the platform's own sentences; empty means English
    status = models.CharField(max_length=8, choices=ConversationStatus, default=ConversationStatus.ACTIVE)
    metadata = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=list, blank=True)
    max_context_length = models.PositiveIntegerField(default=4000)
    message_count = models.PositiveIntegerField(default=0)  # live ones
    last_position = models.PositiveIntegerField(default=0, editable=False)
    total_tokens = models.PositiveBigIntegerField(default=0)
    last_activity = models.DateTimeField(default=timezone.now)
    # Who has it now: in this row, as whoever writes into the conversation has locked and read it anyway.
    owner = models.CharField(max_length=7, choices=Owner, default=Owner.AGENT)
    person_id = models.UUIDField(null=True, blank=True, editable=False)  # of the owner, if that is a person
    person_name = models.CharField(max_length=200, blank=True)  # as the visitor reads it
    read_position = models.PositiveIntegerField(default=0, editable=False)  # seen in the inbox up to here
    mailed_position = models.PositiveIntegerField(default=0, editable=False)  # mailed to the visitor up to here
    handover_summary = models.TextField(blank=True)  # of what was said with a person: the agent goes on from it

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["-last_activity"]
        indexes = [
            models.Index(fields=["archived_at", "-last_activity"]),
            models.Index(fields=["agent", "archived_at", "-last_activity"]),
            models.Index(fields=["-last_activity"], condition=~models.Q(owner="agent"), name="conversation_inbox"),
            GinIndex(OpClass(Upper("title"), "gin_trgm_ops"), name="conversation_titles"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def who(self) -> str:
        """With whom the agent talks, as the company's people read it. Reads `lead`, and what that is merged into."""
        if self.lead is None:
            return "Your team"
        person = self.lead.person
        if not person.is_nameless:
            return str(person)
        page = self.metadata.get("page_title") or self.metadata.get("page_url")
        return f"Visitor on {page[:80]}" if page and isinstance(page, str) else "Visitor"

    @property
    def shown_title(self) -> str:
        """Where the title says nothing, the first question (selectors.with_first_questions), or which visitor it is."""
        if self.title not in UNTITLED:
            return self.title
        asked = " ".join((getattr(self, "first_question", None) or "").split())
        if not asked:
            return self.who if self.lead else self.title
        return f"{asked[:80]}…" if len(asked) > 80 else asked

    @property
    def entity_id(self) -> uuid.UUID | None:
        return self.lead_id if self.entity_type == EntityType.LEAD else self.user_id


SAID = models.Q(archived_at=None, status=MessageStatus.COMPLETED)
# Answers to questions that the documents leave open. What a guardrail refuses is no gap in them.
UNANSWERED = models.Q(role=MessageRole.ASSISTANT, is_refusal=True, is_blocked=False)


class Message(LeasedModel, ArchivableModel):
    """A message. An assistant's is made empty together with the question it replies to, and filled by the turn.
    A person of the company speaks as the assistant too, with an `author_id` and in reply to nothing.

    A question that was put anew, or an answer made again, `replaces` the one before, which is archived.
    """

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    position = models.PositiveIntegerField()
    role = models.CharField(max_length=9, choices=MessageRole)
    content = models.TextField(blank=True)
    # What the platform itself says in it: `code` and `values` of each sentence, whose text is the content.
    notices = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=10, choices=MessageStatus, default=MessageStatus.COMPLETED)
    author_id = models.UUIDField(null=True, blank=True, editable=False)  # of a person of the company
    author_name = models.CharField(max_length=200, blank=True)  # the person's, or the agent's; as it was then
    reply_to = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="replies")
    replaces = models.OneToOneField("self", models.SET_NULL, null=True, blank=True, related_name="replaced_by")
    task_id = models.UUIDField(null=True, blank=True, editable=False)
    is_refusal = models.BooleanField(default=False)
    agent_version = models.PositiveIntegerField(null=True, blank=True)  # of the agent that answered
    # The specialist that the conversation's agent, a supervisor, passed the question on to.
    answered_by = models.ForeignKey(Agent, models.SET_NULL, null=True, blank=True, related_name="+")
    is_draft = models.BooleanField(default=False)  # asked of the agent's draft, by the company's people
    is_blocked = models.BooleanField(default=False)  # refused by a guardrail: no model ever hears of the exchange
    model_used = models.CharField(max_length=160, blank=True)
    processing_time = models.FloatField(null=True, blank=True)  # seconds
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=16, decimal_places=8, null=True, blank=True)  # unknown where empty
    cost_currency = models.CharField(max_length=3, blank=True)
    # Models that were asked before the one that answered, and a reranker that failed, each with `code` and `error`; or
    # why there is no answer.
    model_failures = models.JSONField(default=list, blank=True)
    confidence_score = models.FloatField(null=True, blank=True)
    timings = models.JSONField(default=dict, blank=True)  # seconds by stage
    warnings = models.JSONField(default=list, blank=True)  # what was mended in the answer, in sentences
    # What the answer was made of, besides its citations: all that it takes to make it again.
    trace = models.JSONField(default=dict, blank=True)
    suggestions = models.JSONField(default=list, blank=True)  # what might be asked next, in the order of its passages
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
        indexes = [
            models.Index(fields=["status", "lease_until"]),
            models.Index(
                fields=["conversation"], condition=models.Q(user_feedback__isnull=False), name="message_rated"
            ),
            # For words in the midst of a text, as `icontains` looks for them.
            GinIndex(OpClass(Upper("content"), "gin_trgm_ops"), name="message_words", condition=SAID),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.content[:60]}"

    @property
    def for_team(self) -> str:
        """The content; in English where the platform has told a visitor something in another language."""
        return in_words(self.notices) if self.notices and self.role == MessageRole.SYSTEM else self.content

    @property
    def is_taken_up(self) -> bool:
        """Whether it answers what a person has left open. Every other answer stands behind its question or replaces
        one. Reads `reply_to`.
        """
        return self.reply_to is not None and self.replaces_id is None and self.position > self.reply_to.position + 1

    @property
    def asked(self) -> str:
        """What it answers: its question, or in one all the messages that a person has left open. Reads `reply_to`."""
        return str(self.trace.get("asked") or (self.reply_to.content if self.reply_to else ""))

    @property
    def trace_id(self) -> str:
        """By which the logs, the header `X-Agent-Trace-Id` and the stored trace name one turn: its answer's id."""
        return str(self.pk)


class Citation(models.Model):
    """A passage that was offered to the model for one answer, as it was then; `is_cited` if the answer points to it.

    `quote` is a span of `content` that the answer repeats word for word, or empty. All of it is as the model read it,
    which a replay needs; `shown` is what leaves.
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
    # By field, what guardrails let be shown in its place; nothing of a field that may be shown as it is.
    masked = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="citation_number_unique")]

    def __str__(self) -> str:
        return f"[Source {self.number}] {self.document_name}"

    @property
    def locator_label(self) -> str:
        return describe(self.locator)

    def shown(self, field: str) -> Any:
        """A field as it may be shown."""
        return self.masked.get(field, getattr(self, field))

    @property
    def shown_excerpt(self) -> str:
        return str(self.shown("quote") or self.shown("content")[:300])

    @property
    def shown_label(self) -> str:
        return describe(self.shown("locator"))


class Guardrail(BaseModel):
    """What may be asked and answered, and from which datasets: of agents, of API keys, or of the whole company.

    The links are ids: an API key is a row of the shared schema. `rules` are those of `engine.guardrails.parse_rules`.
    """

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=1000, blank=True)
    is_active = models.BooleanField(default=True)
    applies_to_all = models.BooleanField(default=False)
    agent_ids = ArrayField(models.UUIDField(), default=list, blank=True)
    api_key_ids = ArrayField(models.UUIDField(), default=list, blank=True)
    dataset_ids = ArrayField(models.UUIDField(), null=True, blank=True)  # the only ones; None: all that are granted
    allows_own_documents = models.BooleanField(default=True)  # of the agent, besides datasets
    rules = models.JSONField(default=list, blank=True)
    refusal_text = models.CharField(max_length=1000, blank=True)
    link_hosts = ArrayField(models.CharField(max_length=253), default=list, blank=True)
    topic_embedder = models.CharField(max_length=8, choices=TopicEmbedder, default=TopicEmbedder.BUILTIN)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="guardrail_name_unique",
                violation_error_message="There is a guardrail of this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def holds_nowhere(self) -> bool:
        return not (self.applies_to_all or self.agent_ids or self.api_key_ids)

    @property
    def does_nothing(self) -> bool:
        """It neither looks at texts, nor narrows what is answered from, nor says what may be linked to."""
        narrows = self.dataset_ids is not None or not self.allows_own_documents
        return not (self.rules or narrows or self.link_hosts)

    def holds_in(self, conversation: Conversation, agent_id: uuid.UUID) -> bool:
        """`agent_id` is of the agent that answers, which a supervisor may have chosen."""
        return (
            self.applies_to_all
            or not {conversation.agent_id, agent_id}.isdisjoint(self.agent_ids)
            or conversation.api_key_id in self.api_key_ids
        )


class GuardrailDecision(BaseModel):
    """What a rule has refused or masked in a turn. The names stay when the guardrail is changed or deleted."""

    guardrail = models.ForeignKey(Guardrail, models.SET_NULL, null=True, related_name="decisions")
    guardrail_name = models.CharField(max_length=120, blank=True)  # empty: the platform's own
    message = models.ForeignKey(Message, models.CASCADE, related_name="decisions")  # the reply
    stage = models.CharField(max_length=6)
    action = models.CharField(max_length=6)
    rule = models.CharField(max_length=200)
    kind = models.CharField(max_length=8)
    count = models.PositiveIntegerField(default=1)
    similarity = models.FloatField(null=True, blank=True)
    excerpt = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["-created_at"]), models.Index(fields=["stage", "action", "-created_at"])]

    def __str__(self) -> str:
        return f"{self.rule}: {self.action} {self.stage}"


class Handover(BaseModel):
    """From a conversation's asking for a person to its end; at most one of a conversation is open."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="handovers")
    reason = models.CharField(max_length=9, choices=HandoverReason)
    words = models.CharField(max_length=500, blank=True)  # the visitor's, or what the rule found
    assigned_at = models.DateTimeField(null=True, blank=True)  # when the first person took it
    user_id = models.UUIDField(null=True, blank=True, editable=False)
    user_name = models.CharField(max_length=200, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end = models.CharField(max_length=11, choices=HandoverEnd, blank=True)
    summary = models.TextField(blank=True)
    alerted_at = models.DateTimeField(null=True, blank=True)  # when the visitor was told that nobody has come
    contact_email = EncryptedTextField(blank=True)  # that the visitor has left for this

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"], condition=models.Q(ended_at=None), name="handover_one_open"
            )
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(ended_at=None, assigned_at=None, alerted_at=None),
                name="handover_unanswered",
            )
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.created_at:%Y-%m-%d}"


class PrivateNote(BaseModel):
    """What the company's people tell each other. A table of its own: no list of messages can ever hold one."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="private_notes")
    after_position = models.PositiveIntegerField()  # the newest message then
    text = models.TextField()
    author_id = models.UUIDField(editable=False)
    author_name = models.CharField(max_length=254)

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.author_name} {self.created_at:%Y-%m-%d}"


class CannedReply(BaseModel):
    shortcut = models.CharField(max_length=40)
    text = models.TextField()

    class Meta:
        verbose_name_plural = "canned replies"
        ordering = ["shortcut"]
        constraints = [models.UniqueConstraint(Lower("shortcut"), name="canned_reply_shortcut_unique")]

    def __str__(self) -> str:
        return self.shortcut
