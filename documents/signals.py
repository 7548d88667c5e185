from django.dispatch import Signal

document_processed = Signal()
"""Sent inside the transaction in which a document was read, also anew. Argument: document."""

document_failed = Signal()
"""Sent inside the transaction in which it is known that a document cannot be read. Arguments: document, whose own
fields may be older; error, a sentence; error_code.
"""
