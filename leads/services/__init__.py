"""Every write of leads."""

from leads.services.encryption import set_lead_encryption
from leads.services.fields import (
    archive_lead_field,
    create_lead_field,
    reorder_lead_fields,
    restore_lead_field,
    update_lead_field,
)
from leads.services.imports import check_import, recheck_import, start_import
from leads.services.merging import merge_leads, unmerge_lead
from leads.services.records import (
    add_lead_note,
    archive_lead,
    change_lead_status,
    create_lead,
    restore_lead,
    update_lead,
)
from leads.services.registration import (
    RegisteredLead,
    identify_visitor,
    register_lead,
    renew_visit,
    start_visit,
)
from leads.services.scores import change_score_rules, changed_choices, keep_learned, restore_score_rules

__all__ = [
    "RegisteredLead",
    "add_lead_note",
    "archive_lead",
    "archive_lead_field",
    "change_lead_status",
    "change_score_rules",
    "changed_choices",
    "check_import",
    "create_lead",
    "create_lead_field",
    "identify_visitor",
    "keep_learned",
    "merge_leads",
    "recheck_import",
    "register_lead",
    "renew_visit",
    "reorder_lead_fields",
    "restore_lead",
    "restore_lead_field",
    "restore_score_rules",
    "set_lead_encryption",
    "start_import",
    "start_visit",
    "unmerge_lead",
    "update_lead",
    "update_lead_field",
]
