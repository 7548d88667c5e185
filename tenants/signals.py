from django.dispatch import Signal

company_created = Signal()
"""Sent inside the transaction, the new schema complete but the company not yet ready. Argument: company."""
person_left = Signal()
"""Sent inside the transaction when somebody cannot sign in to their company any more. Arguments: user, company."""
