from django.dispatch import Signal

document_processed = Signal()
"""Sent inside the transaction in which a document was read, also anew. Argument: document."""

documents_purging = Signal()
"""Sent before earlier versions of documents are deleted for good. Argument: document_ids. Receivers return the set of
those that must stay.
"""

document_failed = Signal()
"""Sent inside the transaction in which it is known that a document cannot be read. Arguments: document, whose own
fields may be older; error, a sentence; error_code.
"""
