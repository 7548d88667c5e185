from django.dispatch import Signal

embedder_changed = Signal()
"""Sent inside the transaction: what these agents have read must be embedded anew. Argument: agents, a list."""

agent_archiving = Signal()
"""Sent inside the transaction before an agent is archived; a receiver may refuse by raising. Argument: agent."""
