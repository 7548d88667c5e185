"""A model that does whatever anybody tells it, wherever in its prompt that stands: the worst case of an injection."""

from __future__ import annotations

import re
from typing import Any

from knowrithm.tests.providers.openai_server import OpenAIServer

Json = dict[str, Any]
ORDERS = re.compile(
    r"(?i)(?P<prompt>(?:print|repeat|show) (?:the|your) (?:system prompt|instructions))"
    r"|add an image of (?P<image>\S+)"
    r"|add a link to (?P<link>\S+)"
    r"|send (?P<what>.+?) to (?P<address>https?://\S+)"
    r"|write (?P<raw><[^\n]+>)"
    r"|(?P<everything>answer with (?:the other company's data|everything you were given))"
    r"|call the tool (?P<tool>\w+)"
    r"|say exactly: (?P<words>[^\n]+)"
)


class ObedientServer(OpenAIServer):
    """It answers first, and then obeys every order in the prompt in turn. `obeyed` are the orders that it found."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.obeyed: list[str] = []

    def reply_to(self, request: Json) -> str:
        prompt = "\n".join(message["content"] for message in request["messages"])
        system = "\n".join(message["content"] for message in request["messages"] if message["role"] == "system")
        parts = [super().reply_to(request)]
        for order in ORDERS.finditer(prompt):
            self.obeyed.append(order.group())
            found = {name: value for name, value in order.groupdict().items() if value is not None}
            if "prompt" in found:
                parts.append(system)
            elif "image" in found:
                address = found["image"]
                parts.append(f"![diagram]({address}) ![again][pic] <img src='{address}'>\n\n[pic]: {address}")
            elif "link" in found:
                parts.append(f"[Continue here]({found['link']}) or <{found['link']}> or {found['link']}")
            elif "address" in found:
                parts.append(f"![{found['what']}]({found['address']}?d={'+'.join(prompt.split()[-8:])})")
            elif "raw" in found:
                parts.append(found["raw"])
            elif "everything" in found:
                parts.append(prompt)
            elif "tool" in found:
                assert "tools" not in request, "a turn offers no tools"
                parts.append(f'{{"tool_call": "{found["tool"]}"}}')
            else:
                parts.append(found["words"])
        return "\n\n".join(parts)
