from django.dispatch import Signal

agent_archiving = Signal()
"""Sent inside the transaction before an agent is archived; a receiver may refuse by raising. Argument: agent."""
