"""What the platform itself says to visitors, in their language: each sentence has a code, and stands here once.

English is here, so that there is always something to say; other languages are one file each beside this module, of the
same codes and the same {values}. The widget's own labels are beside its script.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from agents.hours import read_hours
from agents.languages import LANGUAGES, RIGHT_TO_LEFT, isolated
from agents.models import Agent
from conversations.engine.guardrails import REFUSAL
from documents.ingestion.language import LANGUAGES as ENGLISH_NAMES
from knowrithm.llm.providers.extractive import NO_ANSWER

Notice = dict[str, Any]  # `code`, and the `values` that its sentence names; JSON-ready

ENGLISH = {
    # In a conversation
    "waiting": "We have told our people. Somebody will answer here as soon as possible.",
    "waiting_closed": "Our people cannot be reached at the moment. Their hours are: {hours}.",
    "agent_goes_on": "Until then {agent} goes on answering.",
    "leave_address": "Leave your e-mail address, and we can answer there too.",
    "taken": "{name} answers here now.",
    "delivered": "{name} has your message and answers here.",
    "handed_back": "{agent} answers again.",
    "ended": "This conversation was closed. Write again at any time.",
    "unanswered": "Nobody could answer yet. Your conversation stays with us.",
    "answer_by_mail": "We will answer you here and by mail.",
    "leave_address_for_mail": "Leave your e-mail address, and we will answer you by mail.",
    "no_answer": NO_ANSWER,
    "refused": REFUSAL,
    "failed": "I cannot answer at the moment. Please try again in a little while.",
    "stopped": "The answer was stopped and ends early.",
    "closed": "We are closed at the moment. Our hours are: {hours}.",
    "unavailable": "This assistant is not available at the moment.",
    "our_team": "Our team",
    # What might be asked next, as the visitor would send it
    "suggestion": "What can you tell me about “{topic}”?",
    # In the mail to a visitor who has left
    "mail_subject": "{name} has answered you",
    "mail_hello": "Hello {name},",
    "mail_hello_nameless": "Hello,",
    "mail_action": "Answer",
    "mail_answer_here": "Answer here:",
    "mail_note": (
        "You have talked with {agent}. The link opens this conversation, and nothing else, for seven days: "
        "do not pass it on."
    ),
    "mail_fallback": "If the button does not work, open this address:",
    "mail_footer": "Sent by Knowrithm at {site}. Nobody reads answers to this mail.",
    # On the page that the mail's link opens
    "page_person": "{name} answers you.",
    "page_waiting": "You wait for a person; {agent} answers until then.",
    "page_agent": "{agent}, an assistant, answers you.",
    "page_messages": "Messages",
    "page_you": "You",
    "page_writing": "{agent} is writing.",
    "page_look_again": "Look again",
    "page_message": "Your message",
    "page_send": "Send",
    "page_look": "Look for answers",
    "page_gone": "This link no longer works",
    "page_gone_text": (
        "Press the button in the mail again. A link is good for seven days, and stays open for an hour."
    ),
    "page_skip": "Skip to the content",
    "page_home": "Go to the start page",
}
FOLDER = Path(__file__).parent
REMARKS = frozenset({"stopped"})  # about a message whose text is not the platform's
WITHOUT_SPACES = ("ja", "zh")
_CODES = {
    name.casefold(): code
    for code, own in LANGUAGES.items()
    for name in (code, own, ENGLISH_NAMES.get(code, own))
}  # fmt: skip


def known_language(tag: str) -> str:
    """`de` for de, de-AT, German and Deutsch; empty for a language that the platform does not speak."""
    return _CODES.get(tag.strip().casefold()) or _CODES.get(tag.casefold().replace("_", "-").partition("-")[0], "")


def language_for(declared: str, agent: Agent) -> str:
    """Of a conversation: what the visitor's widget says, else the agent's, else English."""
    named = [declared, agent.widget.get("language"), *agent.languages]
    return next((code for name in named if name and (code := known_language(str(name)))), "en")


@cache
def texts(language: str) -> Mapping[str, str]:
    """The sentences by their codes, with {values} to fill in. English for what is not spoken."""
    if language not in LANGUAGES or language == "en":
        return ENGLISH
    return {**ENGLISH, **json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))}


def sentence(code: str, language: str = "", **values: Any) -> str:
    """`hours` may be given as an agent stores them; names keep their own direction within the sentence."""
    shown = {name: _shown(name, value, language) for name, value in values.items()}
    return texts(language)[code].format(**shown)


def as_question(topic: str, language: str = "") -> str:
    return topic if topic.endswith(("?", "？", "؟")) else sentence("suggestion", language, topic=topic)


def topic_of(question: str) -> str:
    """What a question of `as_question` is about, in whatever language it was put; empty for any other question."""
    found = (pattern.fullmatch(question.strip()) for pattern in _suggestions())
    return next((match[1].strip("\u2066\u2067\u2068\u2069 ") for match in found if match), "")


@cache
def _suggestions() -> list[re.Pattern[str]]:
    parts = (texts(language)["suggestion"].split("{topic}") for language in LANGUAGES)
    return [re.compile(f"{re.escape(before)}(.+){re.escape(after)}") for before, after in parts]


def notice(code: str, **values: Any) -> Notice:
    return {"code": code, "values": values}


def in_words(notices: Sequence[Notice], language: str = "") -> str:
    """Empty where the notices only remark on a text that somebody else has written."""
    said = [sentence(one["code"], language, **one["values"]) for one in notices if one["code"] not in REMARKS]
    return ("" if language in WITHOUT_SPACES else " ").join(said)


def _shown(name: str, value: Any, language: str) -> str:
    if name == "hours":
        hours = read_hours(value)
        return hours.in_words(language) if hours else ""
    text = str(value)
    runs_left = any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text)
    return isolated(text) if runs_left or language in RIGHT_TO_LEFT else text
