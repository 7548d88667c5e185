from django.dispatch import Signal

company_created = Signal()
"""Sent inside the transaction, the new schema complete but the company not yet ready. Argument: company."""
