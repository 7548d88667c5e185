from __future__ import annotations

from dataclasses import dataclass

from leads.models import Lead
from tenants.selectors import encrypts_lead_data


@dataclass(frozen=True, slots=True)
class EncryptionState:
    """`rewritten` of `total` leads lie as the company wants it."""

    is_on: bool
    total: int
    rewritten: int

    @property
    def is_complete(self) -> bool:
        return self.rewritten == self.total


def encryption_state() -> EncryptionState:
    is_on = encrypts_lead_data()
    total = Lead.objects.count()
    return EncryptionState(is_on, total, total - Lead.objects.to_be_rewritten(is_encrypted=is_on).count())
