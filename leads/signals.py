from django.dispatch import Signal

lead_registered = Signal()
"""Sent inside the transaction when a visitor has said who they are. Arguments: lead; is_new, False for one who returns.
"""
