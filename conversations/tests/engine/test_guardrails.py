"""Rules over texts, and that a stream under them never says what the whole answer may not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conversations.engine.detectors import DETECTORS
from conversations.engine.guardrails import Outflow, Rule, Stage, check_text, parse_rules, secrecy_of
from conversations.engine.safety import host_of, is_among, make_safe

PROMPT = "You are Ada, an assistant that answers from its company's own documents. Answer only from the sources below."


def rules(*rows: dict[str, Any]) -> tuple[Rule, ...]:
    return parse_rules([{"name": f"rule {number}", "on": "both", **row} for number, row in enumerate(rows)])


def found(kind: str, text: str) -> list[str]:
    return [text[start:end] for detector in DETECTORS[kind] for start, end in detector.spans(text)]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("email", "Mail ada.l@example.co.uk, not ada@home.", ["ada.l@example.co.uk"]),
        ("email", "müller@exämple.de", ["müller@exämple.de"]),
        ("phone", "+49 30 1234567 or (555) 123-4567", ["+49 30 1234567", "(555) 123-4567"]),
        ("phone", "2024-01-15, 15.01.2024, 1.299.000 pieces, order 123456789012, version 10.2.3.44", []),
        ("iban", "DE89 3704 0044 0532 0130 00 please", ["DE89 3704 0044 0532 0130 00"]),
        ("iban", "GB82WEST12345698765432 but not GB82WEST12345698765433", ["GB82WEST12345698765432"]),
        ("card", "4111 1111 1111 1111 but not 4111 1111 1111 1112 nor 0000000000000000", ["4111 1111 1111 1111"]),
        ("national_id", "078-05-1120, 12345678Z, not 000-05-1120, not 12345678A", ["078-05-1120", "12345678Z"]),
        ("national_id", "86 095 742 719 but not 86 095 742 718", ["86 095 742 719"]),
        ("api_key", "sk-proj-abcdefghijklmnop12 and so", ["sk-proj-abcdefghijklmnop12"]),
        ("api_key", "AKIAIOSFODNN7EXAMPLE", ["AKIAIOSFODNN7EXAMPLE"]),
        ("api_key", "password: hunter2hunter2", ["password: hunter2hunter2"]),
        ("api_key", "postgres://ada:pass@db.example/x", ["postgres://ada:pass@db.example/x"]),
        ("private_key", "-----BEGIN PRIVATE KEY-----\nabc", ["-----BEGIN PRIVATE KEY-----\nabc"]),
    ],
)  # fmt: skip
def test_detectors(kind: str, text: str, expected: list[str]) -> None:
    assert found(kind, text) == expected


@pytest.mark.parametrize("text", ["LAW\u200bSUIT", "ｌａｗｓｕｉｔ", "a lawsuit!", "law\u00adsuit"])
def test_words_are_found_however_they_are_written(text: str) -> None:
    verdict = check_text(text, Stage.INPUT, rules({"kind": "words", "action": "refuse", "values": ["lawsuit"]}))
    assert verdict.refusal != ""


def test_words_are_whole_words() -> None:
    verdict = check_text(
        "lawsuits, flaw suit", Stage.INPUT, rules({"kind": "words", "action": "refuse", "values": ["law"]})
    )
    assert verdict == verdict.__class__("lawsuits, flaw suit")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}"])
def test_an_expression_that_would_hang_another_engine_does_not(pattern: str) -> None:
    """No time is measured: with backtracking the test would not end."""
    text = "a" * 16_000 + "!"
    check_text(text, Stage.INPUT, rules({"kind": "pattern", "action": "mask", "values": [pattern]}))


def test_a_refused_secret_is_masked_where_the_text_is_kept() -> None:
    verdict = check_text("card 4111111111111111", Stage.INPUT, rules({"kind": "personal", "action": "refuse"}))
    assert (verdict.text, bool(verdict.refusal)) == ("card [card number removed]", True)
    assert verdict.decisions[0].excerpt == "card [card number removed]"


# --- Streams ------------------------------------------------------------------------------------------------------

ANSWER = (
    "Write to ada.lovelace@example.co.uk or call +49 30 1234567 about Project\u200b  Falcon; card 4111 1111 1111 1111, "
    "IBAN DE89 3704 0044 0532 0130 00. The key is sk-abcdefghijklmnop1234 and "
    '![x](http://evil.example/a.png?d=1 "t") '
    "[l](http://evil.example/) <img src=//evil.example> [Source 1] done secretly.\n\n- one\n- two "
    "`http://a.example`\n"
    "-----BEGIN PRIVATE KEY-----\nabc def\nghi\n-----END PRIVATE KEY----- bye. See https://evil.example/x, "
    "or [a]: http://b"
)  # fmt: skip
MASKS = (
    {"kind": "personal", "action": "mask"},
    {"kind": "secrets", "action": "mask"},
    {"kind": "words", "action": "mask", "values": ["project falcon", "secretly"]},
)


def clean(text: str, in_code: bool) -> str:
    return make_safe(text, in_code=in_code).text


def stream(outflow: Outflow, text: str, seed: int) -> str:
    chance, said, place = random.Random(seed), "", 0
    while place < len(text):
        size = chance.randint(1, 12)
        said += outflow.push(text[place : place + size])
        place += size
    return said + outflow.close()


@pytest.mark.parametrize("extra", [(), ({"kind": "pattern", "action": "mask", "values": [r"call \S+"]},)])
def test_a_stream_says_what_the_whole_answer_says_however_it_is_cut(extra: tuple[dict[str, Any], ...]) -> None:
    own = rules(*MASKS, *extra)
    whole = clean(check_text(ANSWER, Stage.OUTPUT, own).text, False)
    assert "ada.l" not in whole
    for seed in range(100):
        assert stream(Outflow(own, clean, secrecy_of(PROMPT)), ANSWER, seed) == whole


def test_without_rules_a_plain_word_goes_out_at_once() -> None:
    outflow = Outflow((), clean, secrecy_of(PROMPT))
    assert [outflow.push(word) for word in ("It", " lasts", " 37", " months")] == ["It", " lasts", " 37", " months"]


def test_nothing_of_a_refused_phrase_goes_out() -> None:
    own = rules({"kind": "words", "action": "refuse", "values": ["the launch is on the third of may"]})
    for seed in range(50):
        outflow = Outflow(own, clean)
        said = stream(outflow, "As you know, the launch is on the third of May. And so on.", seed)
        assert "launch" not in said
        assert outflow.refusal != ""


def test_no_more_than_two_words_of_the_prompt_go_out() -> None:
    for seed in range(50):
        outflow = Outflow((), clean, secrecy_of(PROMPT))
        said = stream(outflow, f"Sure: {PROMPT} There.", seed)
        assert "an assistant" not in said
        assert outflow.refusal != ""


def test_what_only_resembles_the_prompt_goes_out() -> None:
    text = "You are Ada, an assistant that knows pumps. Answer only from memory."
    assert stream(Outflow((), clean, secrecy_of(PROMPT)), text, 1) == text


# --- What may be shown --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![x](http://evil.example/a.png?q=1)", "x"),
        ("![x][1]\n\n[1]: http://evil.example/p", "x\n\n[1] : `http://evil.example/p`"),
        ("!![a](http://evil.example)", "!a"),
        ("[![a](http://e.example/i.png)](http://e.example)", "a (`http://e.example`)"),
        ("[a](\nhttp://evil.example)", "a (`http://evil.example`)"),
        ("[a](javascript:alert(1)) [b](//evil.example/x) [c](&#104;ttp://evil.example)", "a b c"),
        ("[a](http://good.example@evil.example/) [b](http://good.example\\@evil.example)", "a b"),
        ("<http://evil.example> www.evil.example", "`http://evil.example` `www.evil.example`"),
        ("<img src=x onerror=y> <SVG/onload=x> <script>", "‹img src=x onerror=y> ‹SVG/onload=x> ‹script>"),
        ("List<String>, a < b, a<b, <b>bold</b>", "List<String>, a < b, a<b, <b>bold</b>"),
        ("[ok](https://good.example/y) and https://sub.good.example/z.", None),
        ("[Source 1](http://evil.example) [Source 2]", "[Source 1] (`http://evil.example`) [Source 2]"),
        ("`curl http://a.example` and\n```\nhttp://b.example\n```", None),
        ("\ue0f1x\ue0f0http://evil.example/i.png)", "`xhttp://evil.example/i.png`)"),
    ],
)
def test_what_becomes_of_links_images_and_markup(text: str, expected: str | None) -> None:
    made = make_safe(text, link_hosts=["good.example", "*.good.example"])
    assert made.text == (text if expected is None else expected)


def test_hosts() -> None:
    assert host_of("https://GOOD.example.:8443/x") == "good.example"
    assert [host_of(url) for url in ("ftp://a.example", "https://[", "//a.example", "https://a@b.example")] == [""] * 4
    assert is_among("a.good.example", ["*.good.example"])
    assert not is_among("evilgood.example", ["*.good.example", "good.example"])
