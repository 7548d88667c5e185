"""The answer engine: what to ask the model, and what to make of its answer. Pure: no Django, no rows."""
