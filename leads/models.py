"""Visitors who have said who they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from django.db import models
from django.utils import timezone

from agents.models import Agent
from knowrithm.db.fields import BlindIndexField, EncryptedTextField
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet
from knowrithm.db.schema import schema_name
from knowrithm.security.encryption import CIPHERTEXT, encrypt, is_ciphertext
from knowrithm.security.hashing import keyed_hashes
from leads.enums import LeadStatus
from tenants.selectors import encrypts_lead_data


def email_hash(address: str) -> str:
    """The blind index of an address: equal for equal addresses of one company, whatever their case, and no others."""
    return email_hashes(address)[0]


def email_hashes(address: str) -> list[str]:
    """As what the address may stand in the table: older values of SECRET_KEY hold until `rotate_encryption` has run."""
    return keyed_hashes(address.strip().lower(), purpose=f"lead-email:{schema_name()}")


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
        return encrypt(text) if text and encrypts_lead_data() else text

    def from_db_value(self, value: str | None, *rest: object) -> str:
        return super().from_db_value(value, *rest) if value and is_ciphertext(value) else value or ""


class EmailHashField(BlindIndexField):
    source = "email"

    def index_of(self, text: str) -> str:
        return email_hash(text)


ENCRYPTED_EMAIL = models.Q(email__regex=CIPHERTEXT)
ENCRYPTED_PHONE = models.Q(phone__regex=CIPHERTEXT)


class LeadQuerySet(ArchivableQuerySet):
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

    def to_be_rewritten(self, *, is_encrypted: bool) -> Self:
        """Those that do not lie as the company wants it."""
        if is_encrypted:
            return self.filter(~ENCRYPTED_EMAIL | (~models.Q(phone="") & ~ENCRYPTED_PHONE))
        return self.filter(ENCRYPTED_EMAIL | ENCRYPTED_PHONE)


class Lead(ArchivableModel):
    """One person, known to one agent by e-mail address: registering again is the same lead."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="leads")
    first_name = models.CharField(max_length=100)
    last_name = models.CharField(max_length=100, blank=True)
    email = LeadDataField()
    email_hash = EmailHashField(max_length=64, editable=False)
    phone = LeadDataField(blank=True)
    source = models.CharField(max_length=100, blank=True, default="widget")
    notes = models.TextField(blank=True)
    status = models.CharField(max_length=12, choices=LeadStatus, default=LeadStatus.NEW)
    consent_marketing = models.BooleanField(default=False)
    consent_data_processing = models.BooleanField(default=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    last_activity = models.DateTimeField(default=timezone.now)

    objects = models.Manager.from_queryset(LeadQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["agent", "email_hash"], name="lead_email_unique_in_agent")]

    def __str__(self) -> str:
        return self.full_name or str(self.pk)  # never the address: this stands in logs

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        if update_fields is not None and "email" in update_fields:
            update_fields = {*update_fields, "email_hash"}
        super().save(*args, update_fields=update_fields, **options)

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()
