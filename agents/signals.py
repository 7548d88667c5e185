from django.dispatch import Signal

embedder_changed = Signal()
"""Sent inside the transaction: what these agents have read must be embedded anew. Arguments: agents, a list; settings,
the row whose choice of model was changed, or None when it is the agent that was given others; before, a copy of the
settings as they were.
"""

settings_deleting = Signal()
"""Sent inside the transaction before settings are deleted; a receiver may refuse by raising. Argument: settings."""

agent_archiving = Signal()
"""Sent inside the transaction before an agent is archived; a receiver may refuse by raising. Argument: agent."""
