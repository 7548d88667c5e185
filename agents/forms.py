from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import time
from typing import Any

from django import forms
from django.db.models import Prefetch

from agents.catalog.models import ModelKind, Provider, ProviderKind, ProviderModel
from agents.enums import AgentStatus, AnswerLength
from agents.handover import LONGEST_PHRASE, LONGEST_WAIT, MOST_PHRASES, MOST_TIMES, read_handover
from agents.hours import ANSWER, CLOSED, DAYS, LONGEST_CLOSED_TEXT, read_hours
from agents.models import Agent, LLMSettings
from agents.specialists import LONGEST_DESCRIPTION, MOST_SPECIALISTS
from tenants.time_zones import zone_choices

MOST_STARTERS, LONGEST_STARTER, LONGEST_LANGUAGE = 6, 200, 40
OUTSIDE = ((ANSWER, "It answers, and knows that nobody can be reached"), (CLOSED, "It only says that you are closed"))
NO_TIME = (None, None)
FOLLOW_UPS = (("", "Where a model writes the answers"), ("on", "Always"), ("off", "Never"))
OFFERED_SPECIALISTS = 50


def chat_providers() -> list[Provider]:
    """The providers that can answer, each with its active chat models, recommended ones first, in two queries."""
    models = ProviderModel.objects.filter(is_active=True, kind=ModelKind.LLM)
    models = models.order_by("-is_recommended", "sort_order", "name")
    rows = Provider.objects.filter(is_active=True, kind__in=[ProviderKind.LLM, ProviderKind.BOTH])
    return [provider for provider in rows.prefetch_related(Prefetch("models", models)) if provider.models.all()]


def starter_questions_of(text: str) -> list[str]:
    """One in a line. Raises `ValidationError`."""
    questions = [line.strip() for line in text.splitlines() if line.strip()]
    if len(questions) > MOST_STARTERS or any(len(line) > LONGEST_STARTER for line in questions):
        raise forms.ValidationError(
            f"Give at most {MOST_STARTERS} questions of at most {LONGEST_STARTER} characters each."
        )
    return questions


class AgentForm(forms.Form):
    """An agent and its model. `settings` are what it uses now: for a new one, the company's default."""

    name = forms.CharField(max_length=200)
    status = forms.ChoiceField(
        choices=AgentStatus.choices, help_text="Only an active agent talks to visitors. Takes effect at once."
    )
    description = forms.CharField(
        max_length=10_000,
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text="What it is for. The model reads this too.",
    )
    languages = forms.CharField(
        required=False,
        max_length=500,
        help_text="Separated by commas, such as English, German. It answers in the visitor's language where it is one "
        "of them, and in the first one otherwise. Empty means any.",
    )
    personality = forms.CharField(
        label="Tone", required=False, max_length=500, help_text="How it speaks, such as: friendly, short sentences."
    )
    answer_length = forms.ChoiceField(
        label="Length of answers", choices=AnswerLength.choices, widget=forms.RadioSelect, initial=AnswerLength.BALANCED
    )
    has_hours = forms.BooleanField(
        label="Our people can be reached at certain hours only",
        required=False,
        help_text="The agent tells visitors when somebody is there.",
    )
    timezone = forms.ChoiceField(label="Time zone", required=False, initial="UTC")
    outside = forms.ChoiceField(
        label="Outside of these hours", choices=OUTSIDE, required=False, widget=forms.RadioSelect, initial=ANSWER
    )
    closed_text = forms.CharField(
        label="What it says when you are closed",
        required=False,
        max_length=LONGEST_CLOSED_TEXT,
        widget=forms.Textarea({"rows": 2}),
        help_text="Empty means a sentence with your hours.",
    )
    no_handover = forms.BooleanField(
        label="Visitors cannot ask for a person",
        required=False,
        help_text="The rules below work all the same, and your people can take any conversation.",
    )
    handover_phrases = forms.CharField(
        label="Phrases that call a person",
        required=False,
        widget=forms.Textarea({"rows": 2}),
        help_text=f"One in a line, such as: talk to a human. At most {MOST_PHRASES}.",
    )
    handover_unanswered = forms.IntegerField(
        label="Open questions in a row",
        required=False,
        min_value=1,
        max_value=MOST_TIMES,
        help_text="After so many questions that the documents leave open. Empty means never.",
    )
    handover_bad_ratings = forms.IntegerField(
        label="Bad ratings",
        required=False,
        min_value=1,
        max_value=MOST_TIMES,
        help_text="After so many answers that a visitor has rated badly. Empty means never.",
    )
    handover_on_guardrail = forms.BooleanField(label="When a guardrail refuses", required=False)
    handover_wait = forms.IntegerField(
        label="Minutes to wait",
        required=False,
        min_value=1,
        max_value=LONGEST_WAIT,
        help_text="Until the visitor is told that nobody has come, and your people are mailed. Empty means 5.",
    )
    welcome_text = forms.CharField(
        label="Welcome", required=False, max_length=500, help_text="The first thing a visitor reads."
    )
    starter_questions = forms.CharField(
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text=f"One in a line, at most {MOST_STARTERS}. Visitors ask them with one press.",
    )
    suggests_follow_ups = forms.ChoiceField(
        label="Follow-up suggestions",
        choices=FOLLOW_UPS,
        required=False,
        help_text="Up to three things that might be asked next, from the headings of what was found and not used.",
    )
    is_supervisor = forms.BooleanField(
        label="It passes questions on to other agents",
        required=False,
        help_text="A supervisor answers nothing itself: each question goes to the agent that it is for, and is "
        "answered from that one's documents, under that one's guardrails too.",
    )
    shared_settings = forms.ChoiceField(
        label="Settings",
        required=False,
        help_text="Those of the page Models, or “As below” for this agent alone.",
    )
    provider = forms.ChoiceField()
    model = forms.ChoiceField()
    api_key = forms.CharField(
        label="API key", required=False, max_length=500, widget=forms.PasswordInput({"autocomplete": "off"})
    )
    base_url = forms.URLField(
        label="Base URL",
        required=False,
        max_length=500,
        assume_scheme="https",
        help_text="Only for a server of your own that speaks this provider's protocol.",
    )
    temperature = forms.FloatField(
        min_value=0,
        max_value=2,
        widget=forms.NumberInput({"step": "0.1"}),
        help_text="0 keeps to the likeliest words, 2 is the freest.",
    )
    max_tokens = forms.IntegerField(
        label="Longest answer",
        min_value=1,
        max_value=1_000_000,
        help_text="In tokens; three of them are about two words.",
    )

    def __init__(self, data: Any = None, *, settings: LLMSettings, agent: Agent | None = None) -> None:
        super().__init__(data, initial={**_settings_values(settings), **(_agent_values(agent) if agent else {})})
        self.settings, self.agent = settings, agent
        self.fields["timezone"].choices = zone_choices()  # type: ignore[attr-defined]  # declared as a ChoiceField above
        for day in DAYS:
            for side in ("from", "to"):
                widget = forms.TimeInput({"type": "time", "aria-label": f"{day.capitalize()} {side}"}, format="%H:%M")
                self.fields[f"{day}_{side}"] = forms.TimeField(required=False, widget=widget)
        self.offered = _offered_specialists(agent)
        for row in self.offered:
            self.fields[f"specialist_{row.pk}"] = forms.BooleanField(label=row.name, required=False)
            about = forms.TextInput({"aria-label": f"What {row.name} is for", "placeholder": "What it is for"})
            self.fields[f"about_{row.pk}"] = forms.CharField(
                required=False, max_length=LONGEST_DESCRIPTION, widget=about
            )
        self.providers = {provider.slug: provider for provider in chat_providers()}
        provider, model = self.fields["provider"], self.fields["model"]
        provider.choices = [(row.slug, row.label) for row in self.providers.values()]  # type: ignore[attr-defined]  # declared as a ChoiceField above
        model.choices = [  # type: ignore[attr-defined]  # both are ChoiceFields, declared above
            (row.label, [(str(one.pk), str(one)) for one in row.models.all()]) for row in self.providers.values()
        ]
        if agent and not settings.is_default and settings.name not in {"", agent.name[:120]}:
            self.initial["shared_settings"] = str(settings.pk)
        shared = LLMSettings.objects.filter(is_active=True).select_related("llm_model")
        named = [(str(row.pk), f"{row} · {row.llm_model}") for row in shared if row.name or row.is_default]
        self.fields["shared_settings"].choices = [("", "As below"), *named]  # type: ignore[attr-defined]  # declared above
        if settings.llm_api_key:
            self.fields["api_key"].help_text = "A key is stored. Leave this empty to keep it."

    def model_catalog(self) -> dict[str, dict[str, Any]]:
        """What the page's script needs to show only what fits the chosen provider."""
        return {
            slug: {
                "requires_key": provider.requires_api_key,
                "takes_base_url": _takes_base_url(provider),
                "models": [str(model.pk) for model in provider.models.all()],
            }
            for slug, provider in self.providers.items()
        }

    def specialists(self) -> Iterator[tuple[forms.BoundField, forms.BoundField]]:
        """The agents that a supervisor may pass questions on to, each with what it is for."""
        for row in self.offered:
            yield self[f"specialist_{row.pk}"], self[f"about_{row.pk}"]

    def _chosen_specialists(self) -> list[dict[str, str]] | None:
        if not self.cleaned_data["is_supervisor"]:
            return None
        chosen = [row for row in self.offered if self.cleaned_data.get(f"specialist_{row.pk}")]
        return [{"agent_id": str(row.pk), "description": self.cleaned_data[f"about_{row.pk}"]} for row in chosen]

    def days(self) -> Iterator[tuple[str, forms.BoundField, forms.BoundField]]:
        """The rows of the week."""
        for day in DAYS:
            yield day.capitalize(), self[f"{day}_from"], self[f"{day}_to"]

    def clean_languages(self) -> list[str]:
        names = (name.strip() for name in self.cleaned_data["languages"].split(","))
        languages = list(dict.fromkeys(name for name in names if name))
        if any(len(name) > LONGEST_LANGUAGE for name in languages):
            raise forms.ValidationError(f"A language has at most {LONGEST_LANGUAGE} characters. Separate by commas.")
        return languages

    def clean_starter_questions(self) -> list[str]:
        return starter_questions_of(self.cleaned_data["starter_questions"])

    def clean_handover_phrases(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["handover_phrases"].splitlines()]
        phrases = [line for line in lines if line]
        if len(phrases) > MOST_PHRASES or any(len(phrase) > LONGEST_PHRASE for phrase in phrases):
            raise forms.ValidationError(
                f"Give at most {MOST_PHRASES} phrases of at most {LONGEST_PHRASE} characters each."
            )
        return phrases

    def _clean_hours(self) -> None:
        data = self.cleaned_data
        spans = {day: (data.get(f"{day}_from"), data.get(f"{day}_to")) for day in DAYS}
        for day, (start, end) in spans.items():
            if (start is None) != (end is None):
                self.add_error(f"{day}_to", "Give both times, or neither for a day on which nobody is there.")
            elif start is not None and end is not None and end <= start:
                self.add_error(f"{day}_to", "This has to be later than the beginning.")
        if data.get("has_hours") and all(span == NO_TIME for span in spans.values()):
            self.add_error("has_hours", "Give the hours of at least one day, or switch this off.")

    def clean(self) -> dict[str, Any]:
        self._clean_hours()
        data = self.cleaned_data
        chosen = self._chosen_specialists()
        if chosen is not None and not 1 <= len(chosen) <= MOST_SPECIALISTS:
            self.add_error("is_supervisor", f"Choose one to {MOST_SPECIALISTS} agents, or switch this off.")
        if self.settings_id():
            return data  # the rest is not used
        provider = self.providers.get(data.get("provider", ""))
        if provider is None:
            return data
        if "model" in data and data["model"] not in {str(model.pk) for model in provider.models.all()}:
            self.add_error("model", f"{provider.label} has no such model.")
        has_key = bool(self.settings.llm_api_key) and provider.pk == self.settings.llm_provider_id
        if provider.requires_api_key and not (data.get("api_key") or has_key):
            self.add_error("api_key", f"{provider.label} needs an API key.")
        if not _takes_base_url(provider):
            data["base_url"] = ""
        return data

    def agent_fields(self) -> dict[str, Any]:
        """What `create_agent` and `save_draft` take of the agent itself, without its status."""
        names = ("name", "description", "languages", "answer_length", "welcome_text", "starter_questions")
        fields = {name: self.cleaned_data[name] for name in names}
        # What an API client has stored stays, whatever its shape, where nobody has touched it here.
        if "personality" in self.changed_data:
            fields["personality_traits"] = {"tone": self.cleaned_data["personality"]}
        if {"has_hours", "timezone", "outside", "closed_text", *_hour_fields()} & set(self.changed_data):
            fields["operating_hours"] = self._hours() if self.cleaned_data["has_hours"] else {}
        if {*_HANDOVER_FIELDS} & set(self.changed_data):
            fields["handover"] = self._handover()
        if "suggests_follow_ups" in self.changed_data:
            fields["suggests_follow_ups"] = {"on": True, "off": False}.get(self.cleaned_data["suggests_follow_ups"])
        if "is_supervisor" in self.changed_data or any(
            name.startswith(("specialist_", "about_")) for name in self.changed_data
        ):
            fields["specialists"] = self._chosen_specialists()
        return fields

    def _handover(self) -> dict[str, Any]:
        data = self.cleaned_data
        rules = {"is_offered": not data["no_handover"], "on_guardrail": data["handover_on_guardrail"]}
        numbers = {"unanswered": "handover_unanswered", "bad_ratings": "handover_bad_ratings"}
        wait = {"wait_minutes": data["handover_wait"]} if data["handover_wait"] else {}
        return {
            **rules,
            "phrases": data["handover_phrases"],
            **{name: data[field] or 0 for name, field in numbers.items()},
            **wait,
        }

    def _hours(self) -> dict[str, Any]:
        data, stored = self.cleaned_data, self.agent.operating_hours if self.agent else {}
        stored = stored if read_hours(stored) else {}
        hours: dict[str, Any] = {"timezone": data["timezone"] or "UTC", "outside": data["outside"] or ANSWER}
        for day in DAYS:
            span = (data[f"{day}_from"], data[f"{day}_to"])
            if not {f"{day}_from", f"{day}_to"} & set(self.changed_data):
                spans = stored.get(day) or []  # perhaps several, of which the form shows the first
            else:
                spans = [] if span == NO_TIME else [[f"{moment:%H:%M}" for moment in span]]
            if spans:
                hours[day] = spans
        return hours | ({"closed_text": data["closed_text"]} if data["closed_text"] else {})

    def settings_id(self) -> uuid.UUID | None:
        """Settings that exist already, instead of `choices`."""
        chosen = self.cleaned_data.get("shared_settings", "")
        return uuid.UUID(chosen) if chosen and chosen != str(self.settings.pk) else None

    def choices(self) -> dict[str, Any]:
        """What they take of the model: only what differs from `settings`, so that nothing is copied without need."""
        if self.settings_id():
            return {}
        data, before = self.cleaned_data, _settings_values(self.settings)
        is_other_provider = data["provider"] != before["provider"]
        chosen = {
            f"llm_{_SETTINGS_NAMES.get(name, name)}": data[name]
            for name in before
            if is_other_provider or data[name] != before[name]
        }
        return chosen | ({"llm_api_key": data["api_key"]} if data["api_key"] else {})


_HANDOVER_FIELDS = (
    "no_handover", "handover_phrases", "handover_unanswered", "handover_bad_ratings", "handover_on_guardrail",
    "handover_wait",
)  # fmt: skip
_SETTINGS_NAMES = {"base_url": "api_base_url"}


def _takes_base_url(provider: Provider) -> bool:
    return provider.requires_api_key or provider.requires_base_url


def _settings_values(settings: LLMSettings) -> Mapping[str, Any]:
    return {
        "provider": settings.llm_provider.slug,
        "model": str(settings.llm_model_id),
        "base_url": settings.llm_api_base_url,
        "temperature": settings.llm_temperature,
        "max_tokens": settings.llm_max_tokens,
    }


def _hour_fields() -> Iterator[str]:
    return (f"{day}_{side}" for day in DAYS for side in ("from", "to"))


def _hours_values(agent: Agent) -> Mapping[str, Any]:
    hours = read_hours(agent.operating_hours)
    if hours is None:
        return {}
    times: dict[str, time] = {}
    for day, spans in zip(DAYS, hours.spans, strict=True):
        if spans:
            times[f"{day}_from"], times[f"{day}_to"] = spans[0]
    outside = CLOSED if hours.is_closed_outside else ANSWER
    return {"has_hours": True, "timezone": hours.zone.key, "outside": outside, "closed_text": hours.text, **times}


def _handover_values(agent: Agent) -> Mapping[str, Any]:
    rules = read_handover(agent.handover)
    return {
        "no_handover": not rules.is_offered,
        "handover_phrases": "\n".join(rules.phrases),
        "handover_unanswered": rules.unanswered or None,
        "handover_bad_ratings": rules.bad_ratings or None,
        "handover_on_guardrail": rules.on_guardrail,
        "handover_wait": rules.wait_minutes if "wait_minutes" in agent.handover else None,
    }


def _offered_specialists(agent: Agent | None) -> list[Agent]:
    """Those that are chosen, and others by name: a company with more sets them by the API."""
    rows = Agent.objects.live().filter(specialists__isnull=True).only("id", "name").order_by("name")
    if agent is None:
        return list(rows[:OFFERED_SPECIALISTS])
    chosen = [one["agent_id"] for one in agent.specialists or []]
    others = rows.exclude(pk=agent.pk)
    return [*others.filter(pk__in=chosen), *others.exclude(pk__in=chosen)[:OFFERED_SPECIALISTS]]


def _specialist_values(agent: Agent) -> Mapping[str, Any]:
    listed = agent.specialists or []
    return {
        "is_supervisor": agent.specialists is not None,
        **{f"specialist_{one['agent_id']}": True for one in listed},
        **{f"about_{one['agent_id']}": one["description"] for one in listed},
    }


def _agent_values(agent: Agent) -> Mapping[str, Any]:
    return {
        **_specialist_values(agent),
        "suggests_follow_ups": {None: "", True: "on", False: "off"}[agent.suggests_follow_ups],
        **_hours_values(agent),
        **_handover_values(agent),
        "answer_length": agent.answer_length,
        "starter_questions": "\n".join(map(str, agent.starter_questions)),
        "name": agent.name,
        "status": agent.status,
        "description": agent.description,
        "languages": ", ".join(map(str, agent.languages)),
        "personality": agent.tone,
        "welcome_text": agent.welcome_text,
    }
