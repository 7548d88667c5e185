"""Which model puts an agent's passages in order anew."""

from __future__ import annotations

from django.db import models

from agents.models import Agent, key_hint
from documents.enums import RerankProvider
from knowrithm.db.fields import EncryptedTextField
from knowrithm.db.models import BaseModel
from knowrithm.llm.base import ProviderConfig

TIMEOUT = 8.0  # seconds; an answer waits so long at most


class AgentReranker(BaseModel):
    """Reads the question beside each of the best `passages` of a search. An agent without one keeps the search's order.

    It takes effect at once and is no part of an agent's versions: its key could not be.
    """

    agent = models.OneToOneField(Agent, models.CASCADE, related_name="reranker")
    provider = models.CharField(max_length=10, choices=RerankProvider)
    model = models.CharField(max_length=120, blank=True)
    base_url = models.CharField(max_length=500, blank=True)
    api_key = EncryptedTextField(blank=True, default="")
    passages = models.PositiveSmallIntegerField(default=30)

    def __str__(self) -> str:
        return f"{self.get_provider_display()} {self.model}".strip()

    @property
    def key_hint(self) -> str:
        return key_hint(self.api_key)

    def config(self) -> ProviderConfig:
        return ProviderConfig(
            provider=self.provider, model=self.model, api_key=self.api_key, base_url=self.base_url, timeout=TIMEOUT
        )
