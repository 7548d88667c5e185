"""What an answer costs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from knowrithm.llm.base import Usage

_PLACES = Decimal("0.00000001")
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Per million tokens, in `currency` (ISO 4217)."""

    input: Decimal
    output: Decimal
    currency: str = "USD"

    def __str__(self) -> str:
        return f"{self.input.normalize():f} in, {self.output.normalize():f} out, {self.currency}"

    def of(self, usage: Usage) -> Decimal | None:
        """The cost of one answer; None where the provider counted no tokens, unless it is free anyway."""
        if not usage.total_tokens and (self.input or self.output):
            return None
        total = self.input * usage.input_tokens + self.output * usage.output_tokens
        return (total / _MILLION).quantize(_PLACES)
