"""The chat widget on a customer's page, against the whole platform: from the form to a cited answer, and back again."""

from __future__ import annotations

