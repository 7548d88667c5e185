from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from agents.models import LeadField
from documents.services.metadata import MAX_METADATA
from knowrithm.api.serializers import RecordSerializer
from leads.enums import Encoding, LeadStatus
from leads.field_values import FieldValueError, shown_values, value_of_text
from leads.models import Lead, LeadConsent, LeadEvent, LeadImport

OWN_FIELD = re.compile(r"custom_fields\[(.{1,100})\]", re.DOTALL)
SHOWN = ("agent_id", "first_name", "last_name", "email", "phone")


class LeadSerializer(RecordSerializer[Lead]):
    """`context` has the `company` as `{id, name}`, and the `fields` that it has defined."""

    agent_id = serializers.UUIDField(allow_null=True)
    full_name = serializers.CharField()
    email = serializers.EmailField()
    tags = serializers.ListField(child=serializers.CharField())
    metadata = serializers.DictField()
    custom_fields = serializers.SerializerMethodField(help_text="By the keys of the company's own fields.")
    is_active = serializers.SerializerMethodField()
    company = serializers.SerializerMethodField()
    company_id = serializers.SerializerMethodField()
    merged_into_id = serializers.UUIDField(allow_null=True)

    class Meta:
        model = Lead
        fields = (
            "id", "agent_id", "company_id", "company", "first_name", "last_name", "full_name", "email", "phone",
            "source", "notes", "tags", "metadata", "custom_fields", "status", "score", "consent_marketing",
            "consent_data_processing", "is_active", "ip_address", "user_agent", "merged_into_id", "last_activity",
            "archived_at", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_custom_fields(self, lead: Lead) -> dict[str, Any]:
        return shown_values(lead.custom_fields, self.context["fields"])

    def get_is_active(self, lead: Lead) -> bool:
        return not lead.is_archived

    def get_company(self, lead: Lead) -> dict[str, Any] | None:
        company: dict[str, Any] | None = self.context.get("company")
        return company

    def get_company_id(self, lead: Lead) -> str | None:
        company = self.context.get("company")
        return str(company["id"]) if company else None


class LeadEventSerializer(RecordSerializer[LeadEvent]):
    class Meta:
        model = LeadEvent
        fields = ("id", "kind", "note", "from_status", "to_status", "actor_id", "actor_label", "created_at")
        read_only_fields = fields


class LeadConsentSerializer(RecordSerializer[LeadConsent]):
    actor_label = serializers.CharField(help_text="Who wrote it down; empty for the visitor.")

    class Meta:
        model = LeadConsent
        fields = ("id", "kind", "is_given", "is_unproven", "text_version", "actor_id", "actor_label", "created_at")
        read_only_fields = fields


class SaidField(serializers.BooleanField):
    """A box that a form did not send was not asked: nothing is said."""

    default_empty_html = empty


class LeadFields(serializers.Serializer[Any]):
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True, allow_null=True)
    source = serializers.CharField(max_length=100, required=False, allow_blank=True)  # type: ignore[assignment]  # DRF's name
    notes = serializers.CharField(max_length=5000, required=False, allow_blank=True)
    consent_marketing = SaidField(required=False)
    consent_data_processing = SaidField(required=False)
    consent_text_version = serializers.CharField(
        max_length=60, required=False, allow_blank=True, help_text="Of the text that the person has consented to."
    )

    custom_fields = serializers.DictField(
        required=False,
        allow_null=True,
        help_text="By the keys of the fields that the company has defined; null empties one. A visitor may send those "
        "that the agent asks for.",
    )

    def validate_phone(self, phone: str | None) -> str:
        return phone or ""


class LeadInput(LeadFields):
    """Names may be empty: which ones are asked for is the agent's choice."""

    agent_id = serializers.UUIDField()
    first_name = serializers.CharField(max_length=100, allow_blank=True)
    last_name = serializers.CharField(max_length=100, allow_blank=True)
    email = serializers.EmailField(max_length=254)


class VisitInput(serializers.Serializer[Any]):
    agent_id = serializers.UUIDField()
    refresh_token = serializers.CharField(
        max_length=4000, required=False, help_text="Of the same visitor before: the tokens are renewed."
    )


class VisitorInput(LeadInput):
    agent_id = None  # type: ignore[assignment]  # the token says which


class LeadWritten(LeadFields):
    """What the company's own people and keys may say besides."""

    tags = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    metadata = serializers.DictField(required=False)
    status = serializers.ChoiceField(LeadStatus.choices, required=False)

    def validate_metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(metadata)) > MAX_METADATA:
            raise serializers.ValidationError(f"Metadata may have at most {MAX_METADATA:,} characters.")
        return metadata


class LeadWriteInput(LeadWritten):
    agent_id = serializers.UUIDField(required=False, allow_null=True)
    first_name = serializers.CharField(max_length=100)
    last_name = serializers.CharField(max_length=100, allow_blank=True)
    email = serializers.EmailField(max_length=254)


class LeadUpdateInput(LeadWritten):
    first_name = serializers.CharField(max_length=100, required=False)
    last_name = serializers.CharField(max_length=100, required=False, allow_blank=True)
    email = serializers.EmailField(max_length=254, required=False)
    status_note = serializers.CharField(max_length=5000, required=False, allow_blank=True)


class NoteInput(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=5000)


class LeadQuery(serializers.Serializer[Any]):
    """The query string of a list of leads; empty values narrow nothing, an unknown status finds nobody."""

    search = serializers.CharField(required=False, allow_blank=True, max_length=500)
    status = serializers.CharField(required=False, allow_blank=True)
    agent_id = serializers.UUIDField(required=False)
    tag = serializers.CharField(required=False, allow_blank=True)
    source = serializers.CharField(required=False, allow_blank=True)  # type: ignore[assignment]  # DRF's name
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    sort = serializers.CharField(required=False, allow_blank=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        sent = {name: data.get(name) for name in self.fields if data.get(name)}
        found: dict[str, Any] = super().to_internal_value(sent)
        return found


def asked_values(query: QueryDict, fields: Sequence[LeadField]) -> dict[str, Any]:
    """What `custom_fields[key]=value` asks for, as it is stored; nothing for empty values. Raises `ValidationError`."""
    known = {field.key: field for field in fields}
    values: dict[str, Any] = {}
    faults: dict[str, list[str]] = {}
    for name, text in query.items():
        if not (named := OWN_FIELD.fullmatch(name)):
            continue
        try:
            if named[1] not in known:
                raise FieldValueError("There is no such field.")
            value = value_of_text(known[named[1]], str(text))
        except FieldValueError as error:
            faults[name] = [str(error)]
        else:
            values |= {} if value is None else {named[1]: value}
    if faults:
        raise serializers.ValidationError(faults)
    return values


class MergeInput(serializers.Serializer[Any]):
    lead_ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=50)


class LeadDuplicateSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()
    leads = LeadSerializer(many=True)


class LeadImportInput(serializers.Serializer[Any]):
    file = serializers.FileField(allow_empty_file=True)
    agent_id = serializers.UUIDField(required=False, allow_null=True, help_text="Whose leads they become.")
    encoding = serializers.ChoiceField(
        Encoding.choices, required=False, help_text="How the file is read; found when it is not sent."
    )


class ImportEncodingInput(serializers.Serializer[Any]):
    encoding = serializers.ChoiceField(Encoding.choices)


class ImportFaultSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    error = serializers.CharField()


class ImportColumnSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="As the file's first line has it.")
    field = serializers.CharField(allow_null=True, help_text="What it fills; null for a column that is not read.")


class LeadImportSerializer(RecordSerializer[LeadImport]):
    agent_id = serializers.UUIDField(allow_null=True)
    valid = serializers.IntegerField(help_text="Rows without a fault.")
    errors = serializers.SerializerMethodField(help_text="The first of the faulty rows.")  # type: ignore[assignment]  # a column

    class Meta:
        model = LeadImport
        fields = (
            "id", "filename", "encoding", "agent_id", "status", "task_id", "total", "faulty", "valid", "errors",
            "rows_done", "created_count", "known_count", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ImportFaultSerializer(many=True))
    def get_errors(self, row: LeadImport) -> list[dict[str, Any]]:
        return [{"line": line, "error": text} for line, text in row.errors]
