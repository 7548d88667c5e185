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

agent_freezing = Signal()
"""Sent inside the transaction when a version is made. Argument: agent. A receiver returns a dict of what it adds to the
version's configuration: what an app above knows of how the agent answers.
"""

version_restored = Signal()
"""Sent inside the transaction when an old version's configuration is published again, before it is frozen. Arguments:
agent, configuration.
"""

agent_cloned = Signal()
"""Sent inside the transaction when an agent was cloned together with its knowledge. Arguments: source, clone."""
