from __future__ import annotations


class EmbeddedError(Exception):
    """Why the platform does not start, in a sentence for the person at the terminal."""
