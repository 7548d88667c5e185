from django.dispatch import Signal

lead_registered = Signal()
"""Sent inside the transaction when a lead is new: a visitor has registered, or the company has written it down. Not
for the many of an import. Argument: lead.
"""

lead_updated = Signal()
"""Sent inside the transaction when what is known of a lead has changed. Arguments: lead; fields, their names."""

lead_status_changed = Signal()
"""Sent inside the transaction. Arguments: lead, from_status, to_status."""

score_rules_changed = Signal()
"""Sent inside the transaction when leads are to be scored by other rules than before. Argument: rules."""
