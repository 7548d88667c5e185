"""The API as its OpenAPI schema describes it, good input for each operation, and input that no client should send."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.db import transaction
from drf_spectacular.generators import SchemaGenerator

from conftest import Character
from knowrithm.tests.isolation import Treasure, bury
from tenants.models import TwoFactor

Schema = dict[str, Any]

# Texts that have broken programs before. `make fuzz` takes more of them from the file that STRINGS_FILE names.
TEXTS = [
    "",
    " ",
    "a\0b",
    "\ud800",
    "x\udfff y",
    "\u202egnp.exe\u2066",
    "\u200b\ufeff\u2060",
    "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘",
    "İıſßﬃ",  # their length changes with their case
    "'; DROP TABLE users; --",
    "%' OR 1=1 --",
    "%_\\",
    "{{ 7*7 }}{% debug %}${7*7}",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "..\\..\\C:\\con",
    "a\r\nSet-Cookie: x=y",
    "null",
    "true",
    "NaN",
    "-1",
    "1e999",
    "0x1F",
    "１２３",  # digits, but not the usual ones
    "99999999999999999999999999",
    "9999-12-31T23:59:59+14:00",
    "0001-01-01T00:00:00-14:00",
    "2024-02-30",
    "00000000-0000-0000-0000-000000000000",
    "{00000000000040008000000000000000}",
    "https://[::1",
    "http://ex ample.org:99999/",
    "a@b@c.example",
    "(" * 500,
    "x" * 10_000,
]
OTHER_TYPES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    2**31,
    2**63,
    10**30,
    -(10**30),
    10**400,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None],
    ["a\0b"],
    [{}],
    {"a": {"b": ["c"]}},
    {"id": None},
    {"": ""},
    [1] * 1_000,
    "x" * 100_000,
]

REFERENCE = re.compile(r"[0-9a-f]{32}")  # of the log's traceback: each failure has another


def more_texts() -> list[str]:
    """Those of the file that STRINGS_FILE names: a JSON list of strings, or a string a line."""
    if not (name := os.environ.get("STRINGS_FILE")):
        return []
    text = Path(name).read_text(encoding="utf-8", errors="surrogateescape")
    return [str(item) for item in json.loads(text)] if name.endswith(".json") else text.split("\n")


@dataclass(frozen=True)
class Operation:
    """One verb of one path of the schema; the schemas of its input by name, with references resolved."""

    method: str
    path: str
    in_path: dict[str, Schema]
    in_query: dict[str, Schema]
    in_body: dict[str, Schema]
    media_types: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


@cache
def document() -> Schema:
    generator: Any = SchemaGenerator  # without types
    schema: Schema = generator().get_schema(request=None, public=True)
    plain: Schema = json.loads(json.dumps(schema, default=str))
    return plain


def resolve(schema: Schema) -> Schema:
    while True:
        if "$ref" in schema:
            schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif len(schema.get("allOf", [])) == 1:
            schema = {**{name: value for name, value in schema.items() if name != "allOf"}, **schema["allOf"][0]}
        elif "oneOf" in schema:
            schema = schema["oneOf"][0]
        else:
            return schema


@cache
def operations() -> list[Operation]:
    return list(_operations())


def _operations() -> Iterator[Operation]:
    for path, verbs in document()["paths"].items():
        for method, operation in verbs.items():
            parameters = operation.get("parameters", [])
            places: dict[str, dict[str, Schema]] = {
                place: {each["name"]: resolve(each["schema"]) for each in parameters if each["in"] == place}
                for place in ("path", "query")
            }
            content = operation.get("requestBody", {}).get("content", {})
            body = resolve(next(iter(content.values()))["schema"]) if content else {}
            fields = {name: resolve(field) for name, field in body.get("properties", {}).items()}
            yield Operation(method.upper(), path, places["path"], places["query"], fields, tuple(content))


def good(name: str, schema: Schema, treasure: Treasure) -> Any:
    """A value that gets past the serializer; an id is that of a row of the caller's company."""
    schema = resolve(schema)
    if schema.get("format") == "uuid":
        return str(treasure.ids.get(name, treasure.ids["agent_id"]))
    if "default" in schema or "enum" in schema:
        return schema.get("default", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "integer":
        return treasure.ids.get(name, max(1, schema.get("minimum", 1)))
    if kind in {"number", "boolean"}:
        return 1 if kind == "number" else True
    if kind == "array":
        return [good(name.removesuffix("s"), schema["items"], treasure)]
    if kind == "object" or "properties" in schema:
        return {inner: good(inner, each, treasure) for inner, each in schema.get("properties", {}).items()}
    texts = {"email": "new@acme.example", "uri": "https://example.org/", "date": "2030-01-01", "binary": "x"}
    texts["date-time"] = "2030-01-01T00:00:00Z"
    return texts.get(schema.get("format", ""), str(treasure.ids.get(name, f"good {name}")))


def settled(owner: Character) -> Treasure:
    """A company full of rows, whose admin has no second factor that is none."""
    treasure = bury(owner)
    TwoFactor.objects.all().delete()
    return treasure


@contextmanager
def rolled_back() -> Iterator[None]:
    """What happens within leaves nothing behind in the database."""
    with transaction.atomic():
        try:
            yield
        finally:
            transaction.set_rollback(True)


class Attacker:
    """Sends requests to the operations, and keeps what was wrong with the answers in `findings`."""

    def __init__(self, who: str, client: Any, treasure: Treasure) -> None:
        self.who, self.client, self.treasure = who, client, treasure
        client.raise_request_exception = False
        self.requests = 0
        self.findings: dict[str, str] = {}

    def good_path(self, operation: Operation) -> dict[str, Any]:
        return {name: good(name, schema, self.treasure) for name, schema in operation.in_path.items()}

    def good_body(self, operation: Operation) -> dict[str, Any]:
        return {name: good(name, schema, self.treasure) for name, schema in operation.in_body.items()}

    def send(
        self,
        operation: Operation,
        what: str,
        *,
        path: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
        body: Any = None,
        raw: bytes | None = None,
        content_type: str = "application/json",
        **headers: Any,
    ) -> None:
        """One request, with good values in the path where `path` has none. Nothing of it stays."""
        url = operation.path
        for name, value in {**self.good_path(operation), **(path or {})}.items():
            url = url.replace(f"{{{name}}}", quote(as_bytes(value), safe=""))
        if query:
            url += "?" + urlencode({name: as_bytes(value) for name, value in query.items()})
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else b""
        self.requests += 1
        with rolled_back():
            answer = self.client.generic(operation.method, url, data=data, content_type=content_type, **headers)
            fault = fault_of(answer)
        if fault:
            self.findings.setdefault(f"{operation.key} {REFERENCE.sub('…', fault)}", what)


def as_bytes(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="surrogatepass")


def fault_of(answer: Any) -> str | None:
    content = answer.getvalue()  # a download streams, and has no `content`
    fault = envelope_fault(answer.status_code, answer.headers.get("Content-Type", ""), content)
    raised = getattr(answer, "exc_info", None)
    return f"{fault} {raised[1]!r}" if fault and raised else fault


def envelope_fault(status: int, content_type: str, content: bytes) -> str | None:
    """What is wrong with an answer to bad input: never a 5xx, never an error in another shape than the contract's."""
    is_stream = b"STREAMING_UNAVAILABLE" in content  # streams are served beside Django
    if (status >= 500 and not is_stream) or 300 <= status < 400:
        return f"answers {status}: {content[:200]!r}"
    if status < 400:
        return None
    if content_type.partition(";")[0] != "application/json":
        return f"answers {status} as {content_type}"
    body = json.loads(content)
    names = {"success", "error", "message", "code", "error_code", "details"}
    is_sound = names <= set(body) and body["success"] is False and isinstance(body["details"], dict)
    is_sound = is_sound and body["error"] == body["message"] and body["code"] == body["error_code"]
    is_sound = is_sound and all(isinstance(body[name], str) and body[name] for name in ("error", "code"))
    return None if is_sound else f"answers {status} with {content[:300]!r}"
