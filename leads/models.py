"""Visitors who have said who they are."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, Self

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from agents.models import Agent
from knowrithm.db.fields import BlindIndexField, EncryptedTextField
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel
from knowrithm.db.schema import schema_name
from knowrithm.security.encryption import CIPHERTEXT, encrypt, is_ciphertext
from knowrithm.security.hashing import keyed_hashes
from leads.enums import ConsentKind, Encoding, EventKind, ImportStatus, LeadStatus
from leads.score_rules import Choices, RuleChoice
from tenants.selectors import encrypts_lead_data

MIN_DIGITS = 6
MADE_UP = "@visitor.invalid"  # the end of the addresses that nameless visitors are given
# While many leads are written by one statement: whether the company encrypts, asked once and not twice a row.
_encrypts: ContextVar[bool | None] = ContextVar("encrypts", default=None)


def email_hash(address: str) -> str:
    """The blind index of an address: equal for equal addresses of one company, whatever their case, and no others."""
    return email_hashes(address)[0]


def email_hashes(address: str) -> list[str]:
    """As what the address may stand in the table: older values of SECRET_KEY hold until `rotate_encryption` has run."""
    return keyed_hashes(address.strip().lower(), purpose=f"lead-email:{schema_name()}")


def phone_hashes(number: str) -> list[str]:
    """As `email_hashes`, of the digits of a telephone number; none when it has too few to tell anybody by."""
    digits = "".join(char for char in number if char.isdecimal()).removeprefix("00").lstrip("0")
    return keyed_hashes(digits, purpose=f"lead-phone:{schema_name()}") if len(digits) >= MIN_DIGITS else []


class LeadDataField(EncryptedTextField):
    """Text that is encrypted at rest while the company wants it and lies in clear while not.

    Both kinds may stand in one column, as a switched company's rows are rewritten one after the other; reading tells
    them apart. Lookups see what is stored: ask for an address with `Lead.objects.with_email`.
    """

    def get_prep_value(self, value: Any) -> Any:
        return "" if value is None else str(value)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            return value
        text = self.get_prep_value(value)
        if not text:
            return ""
        known = _encrypts.get()
        return encrypt(text) if (encrypts_lead_data() if known is None else known) else text

    def from_db_value(self, value: str | None, *rest: object) -> str:
        return super().from_db_value(value, *rest) if value and is_ciphertext(value) else value or ""


class EmailHashField(BlindIndexField):
    source = "email"

    def index_of(self, text: str) -> str:
        return email_hash(text)


class PhoneHashField(BlindIndexField):
    source = "phone"

    def index_of(self, text: str) -> str:
        return next(iter(phone_hashes(text)), "")


ENCRYPTED_EMAIL = models.Q(email__regex=CIPHERTEXT)
ENCRYPTED_PHONE = models.Q(phone__regex=CIPHERTEXT)
# Live, with a name, and not merged into another: one row for each person.
LISTED = models.Q(archived_at=None, is_nameless=False, merged_into=None)


class LeadQuerySet(ArchivableQuerySet):
    def listed(self) -> Self:
        return self.filter(LISTED)

    def known(self) -> Self:
        """Live ones without the visitors who have not said who they are."""
        return self.live().filter(is_nameless=False)

    def bulk_create(self, objs: Iterable[Any], *args: Any, **options: Any) -> list[Any]:
        token = _encrypts.set(encrypts_lead_data())
        try:
            return super().bulk_create(objs, *args, **options)
        finally:
            _encrypts.reset(token)

    def with_email(self, address: str) -> Self:
        """Who has this address, in whatever case, encrypted or not."""
        return self.filter(email_hash__in=email_hashes(address))

    def matching(self, text: str) -> Self:
        """Whose names or address contain each word. Of an encrypted address only the whole is found."""
        rows = self
        for word in text.split()[:5]:
            in_clear = models.Q(email__icontains=word) & ~ENCRYPTED_EMAIL
            named = models.Q(first_name__icontains=word) | models.Q(last_name__icontains=word)
            rows = rows.filter(named | in_clear | models.Q(email_hash__in=email_hashes(word)))
        return rows

    def scorable(self) -> Self:
        """Those that have a score: one for each person who has said who they are."""
        return self.filter(is_nameless=False, merged_into=None)

    def to_be_scored(self, *, revision: int) -> Self:
        """Without a score, or with one from before they changed or the rules did."""
        is_old = models.Q(scored_at__lt=models.F("updated_at")) | ~models.Q(score_revision=revision)
        return self.scorable().filter(models.Q(scored_at=None) | is_old)

    def to_be_rewritten(self, *, is_encrypted: bool) -> Self:
        """Those that do not lie as the company wants it."""
        if is_encrypted:
            return self.filter(~ENCRYPTED_EMAIL | (~models.Q(phone="") & ~ENCRYPTED_PHONE))
        return self.filter(ENCRYPTED_EMAIL | ENCRYPTED_PHONE)


class Lead(ArchivableModel):
    """One person, known to one agent by e-mail address: registering again is the same lead.

    Without an agent it was written down by the company itself. One that is `merged_into` another is still there for
    its visitor and its agent; the company's lists show the other one, with the conversations of both.
    """

    agent = models.ForeignKey(Agent, models.CASCADE, null=True, blank=True, related_name="leads")
    first_name = models.CharField(max_length=100)
    last_name = models.CharField(max_length=100, blank=True)
    email = LeadDataField()
    email_hash = EmailHashField(max_length=64, editable=False)
    phone = LeadDataField(blank=True)
    phone_hash = PhoneHashField(max_length=64, blank=True, default="", editable=False)
    source = models.CharField(max_length=100, blank=True, default="widget")
    notes = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    # By the keys of the company's fields, as leads.field_values stores them.
    custom_fields = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=12, choices=LeadStatus, default=LeadStatus.NEW)
    consent_marketing = models.BooleanField(default=False)
    consent_data_processing = models.BooleanField(default=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    last_activity = models.DateTimeField(default=timezone.now)
    merged_into = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="merged")
    # A visitor who may talk without saying who they are; the address is made up, until they do.
    is_nameless = models.BooleanField(default=False, editable=False)
    # As worked out last, by a worker (conversations.scores); a lead's page works it out anew with its reasons.
    score = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    scored_at = models.DateTimeField(null=True, blank=True, editable=False)
    score_revision = models.PositiveIntegerField(default=0, editable=False)

    objects = models.Manager.from_queryset(LeadQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "email_hash"], name="lead_email_unique_in_agent", nulls_distinct=False
            )
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="lead_newest"),
            models.Index(fields=["first_name", "last_name", "id"], name="lead_by_name", condition=LISTED),
            models.Index(fields=["status", "-last_activity"], include=["agent"], name="lead_status", condition=LISTED),
            models.Index(fields=["email_hash"], name="lead_email"),
            models.Index(fields=["phone_hash"], name="lead_phone", condition=~models.Q(phone_hash="")),
            GinIndex(fields=["tags"], name="lead_tags"),
            GinIndex(fields=["custom_fields"], opclasses=["jsonb_path_ops"], name="lead_custom_fields"),
            # For words in the midst of a text, as `icontains` looks for them.
            GinIndex(
                *(OpClass(Upper(name), "gin_trgm_ops") for name in ("first_name", "last_name")), name="lead_names"
            ),
            GinIndex(OpClass(Upper("email"), "gin_trgm_ops"), name="lead_addresses", condition=~ENCRYPTED_EMAIL),
            models.Index(models.F("score").desc(nulls_last=True), "id", name="lead_score"),
        ]

    def __str__(self) -> str:
        return self.full_name or str(self.pk)  # never the address: this stands in logs

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        if update_fields is not None:
            update_fields = {*update_fields}
            update_fields |= {f"{name}_hash" for name in ("email", "phone") if name in update_fields}
        super().save(*args, update_fields=update_fields, **options)

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def is_made_up(self) -> bool:
        """Whether its name and address are the platform's own: nobody has ever given any in this row."""
        return str(self.email).endswith(MADE_UP)

    @property
    def person(self) -> Lead:
        """Who this is, as the company's people read it: the known lead whose address a nameless visitor has given."""
        return self.merged_into if self.is_made_up and self.merged_into else self


class LeadEvent(BaseModel):
    """What the company has done with a lead, in the order of its timeline; `actor_label` stays when the person goes.

    `data` of a merge: the id of the other lead, and the fields that it gave to this one, with what they were.
    """

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10, choices=EventKind)
    note = models.TextField(blank=True)
    from_status = models.CharField(max_length=12, blank=True)
    to_status = models.CharField(max_length=12, blank=True)
    data = models.JSONField(default=dict, blank=True)
    actor_id = models.UUIDField(null=True, blank=True)
    actor_label = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["lead", "-created_at"], name="lead_timeline")]

    def __str__(self) -> str:
        return f"{self.kind} {self.created_at:%Y-%m-%d}"


class LeadConsent(BaseModel):
    """A consent that was given or taken back, when, to which version of the text, and by whom it was written down."""

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="consents")
    kind = models.CharField(max_length=16, choices=ConsentKind)
    is_given = models.BooleanField()
    text_version = models.CharField(max_length=60, blank=True)
    actor_id = models.UUIDField(null=True, blank=True)
    actor_label = models.CharField(max_length=254, blank=True)  # empty: the visitor
    # Said by somebody with a known address, whom nothing proves to be this person: the lead's own consents stay.
    is_unproven = models.BooleanField(default=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind}: {'given' if self.is_given else 'not given'}"


class ScoreRules(BaseModel):
    """How the company scores its leads: one row, or none as long as everything is as it comes.

    `weights`: of the criteria. `rules`: what was changed by hand, by the rules' ids. `learned`: from won and lost
    leads, by the rules' ids, with how many of each met it. A lead's score is of the `revision` that it carries.
    """

    is_only = models.BooleanField(default=True, unique=True, editable=False)  # there cannot be two
    weights = models.JSONField(default=dict, blank=True)
    rules = models.JSONField(default=dict, blank=True)
    learned = models.JSONField(default=dict, blank=True)
    learned_from = models.JSONField(default=dict, blank=True)  # {"won": n, "lost": n}
    learned_at = models.DateTimeField(null=True, blank=True)
    is_learning = models.BooleanField(default=True)
    revision = models.PositiveIntegerField(default=0)
    task_id = models.UUIDField(null=True, blank=True, editable=False)  # of scoring everybody by this revision
    heard_until = models.DateTimeField(null=True, blank=True, editable=False)  # what was said before is in the scores

    def __str__(self) -> str:
        return f"Rules of the score, revision {self.revision}"

    @property
    def is_as_it_comes(self) -> bool:
        return not (self.weights or self.rules or self.learned) and self.is_learning

    @property
    def choices(self) -> Choices:
        return Choices(
            self.weights,
            {
                rule_id: RuleChoice(row["points"], row["is_on"], tuple(row["words"]))
                for rule_id, row in self.rules.items()
            },
            {rule_id: row["points"] for rule_id, row in self.learned.items()} if self.is_learning else {},
        )


def import_path(row: LeadImport, filename: str) -> str:
    """Below the company's own prefix, which the storage adds. The given name never becomes part of a path."""
    return f"lead-imports/{row.id}/original"


def refused_path(row: LeadImport, filename: str) -> str:
    return f"lead-imports/{row.id}/refused.csv"


class LeadImport(BaseModel):
    """A CSV file of leads: checked as a whole, then written by a worker. `rows_done` is where the next worker goes on.

    `errors` are the first faults as [line, sentence], `refused` has all of them as CSV, and nothing of what the rows
    say; rows with faults are left out.
    """

    KEPT = timedelta(days=1)  # the file of one that nobody starts

    file = models.FileField(upload_to=import_path, max_length=300, blank=True)
    filename = models.CharField(max_length=300)
    encoding = models.CharField(max_length=20)
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, blank=True, related_name="+")
    status = models.CharField(max_length=10, choices=ImportStatus, default=ImportStatus.CHECKED)
    task_id = models.UUIDField(null=True, blank=True, editable=False)
    actor_label = models.CharField(max_length=254, blank=True)
    total = models.PositiveIntegerField(default=0)
    faulty = models.PositiveIntegerField(default=0)
    errors = models.JSONField(default=list, blank=True)
    refused = models.FileField(upload_to=refused_path, max_length=300, blank=True, default="")
    rows_done = models.PositiveIntegerField(default=0)
    created_count = models.PositiveIntegerField(default=0)
    known_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.filename

    @property
    def kept_until(self) -> datetime:
        return self.updated_at + self.KEPT

    @property
    def encoding_name(self) -> str:
        """As people read it; of an import from before there was a choice, Python's name."""
        return Encoding(self.encoding).label if self.encoding in Encoding else self.encoding

    @property
    def valid(self) -> int:
        return self.total - self.faulty
