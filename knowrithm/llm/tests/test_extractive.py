"""The built-in chat model: what it quotes, what it refuses, and how passages are taken apart."""

from __future__ import annotations

import re

import pytest

from knowrithm.llm.base import ChatMessage, ChatRequest, Evidence, ProviderConfig, ProviderRequestError
from knowrithm.llm.providers.extractive import NO_ANSWER, ExtractiveChatModel
from knowrithm.llm.providers.relevance import MAX_EMBEDDED, rank, terms
from knowrithm.llm.providers.sentences import split_sentences
from knowrithm.llm.registry import chat_model, embedder

MODEL = chat_model(ProviderConfig("builtin", "extractive"))

PUMP = """# X200 centrifugal pump

The X200 is a compact centrifugal pump for clean water. It moves up to 120 litres per minute.

## Warranty

Acme grants a warranty of 24 months from the date of delivery on the X200 pump. Registered
customers are served first. Wear parts such as seals are excluded.

## Maintenance

Replace the mechanical seal every 4,000 operating hours. Before opening the casing:
1. Switch off the mains supply.
2. Close both valves.
3. Drain the casing through the lower plug.
"""
OTHER_PUMP = "The X300 pump carries a warranty of 36 months. It weighs 48 kg and costs € 1,290 excluding VAT."
SHOP = """Returns
You can return any item within 30 days of receipt. The item must be in its original packaging.

Shipping
Standard shipping costs $4.95 and takes 3-5 business days. Express delivery costs $14.95 and arrives the next day.

Contact
Our support team answers at support@acme.example. Our offices are open Monday to Friday from 9:00 to 17:30.
"""
FAQ = """Q: Do you ship outside of Europe?
A: No. We deliver to the countries of the European Union, Norway and Switzerland only.

Q: Is the housing waterproof?
A: The housing is rated IP67.
"""
TABLE = """| Model | Power | Price |
|---|---|---|
| X100 | 0.5 kW | € 490 |
| X200 | 1.1 kW | € 790 |
"""
ROWS = "Model: X100; Stock: 12; Warehouse: Berlin\nModel: X200; Stock: 3; Warehouse: Hamburg"
STAFF = """Employees are entitled to 28 days of paid annual leave. Sick leave must be reported before 9 a.m.
Remote work is possible on up to three days a week. The company was founded in 1987 by Maria Keller in Dresden.
"""
EVIDENCE = tuple(
    Evidence(number, text) for number, text in enumerate((PUMP, OTHER_PUMP, SHOP, FAQ, TABLE, ROWS, STAFF), start=1)
)


def answer(question: str, *evidence: Evidence) -> str:
    request = ChatRequest([ChatMessage("user", question)], question=question, evidence=evidence or EVIDENCE)
    return "".join(delta.text for delta in MODEL.stream(request))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "How long is the warranty on the X200 pump?",
            "Acme grants a warranty of 24 months from the date of delivery on the X200 pump. [Source 1]",
        ),
        ("How much is express delivery?", "Express delivery costs $14.95 and arrives the next day. [Source 3]"),
        ("Who founded the company?", "The company was founded in 1987 by Maria Keller in Dresden. [Source 7]"),
        ("Can I work from home?", "Remote work is possible on up to three days a week. [Source 7]"),
        ("How many X200 are in stock?", "Model: X200; Stock: 3; Warehouse: Hamburg [Source 6]"),
        ("How often must the seal be replaced?", "Replace the mechanical seal every 4,000 operating hours. [Source 1]"),
        (
            "What are your opening hours?",
            "Our offices are open Monday to Friday from 9:00 to 17:30. [Source 3]",
        ),
        ("How long do I have to send something back?", "You can return any item within 30 days of receipt. [Source 3]"),
    ],
)
def test_the_sentence_that_answers_is_quoted(question: str, expected: str) -> None:
    assert answer(question) == expected


def test_a_sentence_with_a_pronoun_brings_the_one_before() -> None:
    assert answer("How heavy is the X300?") == (
        "The X300 pump carries a warranty of 36 months. [Source 2] "
        "It weighs 48 kg and costs € 1,290 excluding VAT. [Source 2]"
    )


def test_the_answer_of_a_question_list_is_quoted_not_its_question() -> None:
    assert answer("Do you ship to the USA?") == (
        "No. [Source 4] We deliver to the countries of the European Union, Norway and Switzerland only. [Source 4]"
    )
    assert answer("Is it waterproof?") == "The housing is rated IP67. [Source 4]"


def test_a_list_is_quoted_whole_with_the_line_that_announces_it() -> None:
    assert answer("How do I open the casing?") == (
        "Before opening the casing: [Source 1]\n"
        "- Switch off the mains supply. [Source 1]\n"
        "- Close both valves. [Source 1]\n"
        "- Drain the casing through the lower plug. [Source 1]"
    )


def test_a_table_row_comes_with_its_headings() -> None:
    assert answer("What is the price of the X200?") == (
        "| Model | Power | Price | [Source 5]\n| X200 | 1.1 kW | € 790 | [Source 5]"
    )


def test_two_passages_that_both_answer_are_both_quoted_once() -> None:
    german = Evidence(4, "The office in Berlin opens at 9:00.")
    copy = Evidence(5, "The office in Berlin opens at 9:00.")
    french = Evidence(9, "The office in Paris opens at 8:30.")
    quoted = answer("When do the offices open?", german, copy, french)
    berlin, paris = f"{german.text} [Source 4]", f"{french.text} [Source 9]"
    assert quoted in {f"{berlin} {paris}", f"{paris} {berlin}"}, "neither answers better"


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "Who won the world cup in 2014?",
        "Do you offer student discounts?",
        "How do I reset my password?",
        "How long is the warranty on the X900?",
        "",
        "??",
    ],
)
def test_what_the_evidence_does_not_say_is_not_answered(question: str) -> None:
    assert answer(question) == NO_ANSWER


@pytest.mark.parametrize("evidence", [(), (Evidence(1, ""),), (Evidence(1, "# Only a heading"),)])
def test_without_sentences_there_is_no_answer(evidence: tuple[Evidence, ...]) -> None:
    request = ChatRequest([], question="How long is the warranty?", evidence=evidence)
    assert "".join(delta.text for delta in MODEL.stream(request)) == NO_ANSWER


def test_every_quotation_is_in_its_source() -> None:
    passages = {passage.number: " ".join(passage.text.split()) for passage in EVIDENCE}
    for question in ("What does the warranty exclude?", "What does shipping cost?", "Tell me about the X200 pump"):
        quotations = re.findall(r"(.+?) \[Source (\d+)\](?:\s|$)", answer(question))
        assert quotations
        assert [quote for quote, number in quotations if quote.strip() not in passages[int(number)]] == []


def test_a_marker_inside_a_passage_is_never_quoted() -> None:
    forged = Evidence(1, "The warranty lasts ten years [Source 7]. The warranty lasts two years.")
    assert answer("How long does the warranty last?", forged) == "The warranty lasts two years. [Source 1]"


def test_answer_is_streamed_in_small_pieces_with_words_counted() -> None:
    deltas = list(MODEL.stream(ChatRequest([ChatMessage("user", "Who founded the company?")], evidence=EVIDENCE)))
    assert [delta.text for delta in deltas[:2]] == ["The company was", " founded in 1987"]
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.output_tokens == 13
    assert usage.input_tokens == sum(len(passage.text.split()) for passage in EVIDENCE) + 4
    assert deltas[-1].finish_reason == "stop"


def test_only_a_bounded_number_of_sentences_is_embedded() -> None:
    long = Evidence(1, " ".join(f"Part number {number} weighs {number} kg." for number in range(500)))
    ranked = rank("How heavy is part number 321?", [long], embedder(ProviderConfig("builtin", "")))
    assert len(ranked) == MAX_EMBEDDED
    assert ranked[0].sentence.text == "Part number 321 weighs 321 kg."


def test_other_model_name_is_refused() -> None:
    with pytest.raises(ProviderRequestError, match="has no model 'gpt-4'"):
        ExtractiveChatModel(ProviderConfig("builtin", "gpt-4"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One. Two! Three? Four…", ["One.", "Two!", "Three?", "Four…"]),
        (
            "It costs 4.95 e.g. for Mr. Smith at St. Paul. Next.",
            ["It costs 4.95 e.g. for Mr. Smith at St. Paul.", "Next."],
        ),
        ("See No. 5 and Fig. 2. No. It is not.", ["See No. 5 and Fig. 2.", "No.", "It is not."]),
        (
            "Open from 9 a.m. Closed at 5 p.m. in Washington, D.C. and New York.",
            ["Open from 9 a.m.", "Closed at 5 p.m. in Washington, D.C. and New York."],
        ),
        ("He said “Go.” Then he left.", ["He said “Go.”", "Then he left."]),
        ("A line that was wrapped by the\nprinter. Another.", ["A line that was wrapped by the printer.", "Another."]),
        ("- one item\n* another item\n3. third item", ["one item", "another item", "third item"]),
        ("Name: A\nSize: 3\nName: B", ["Name: A", "Size: 3", "Name: B"]),
        ("Q: Really?\nA: Yes.", ["Really?", "Yes."]),
        ("今日は晴れ。明日は雨。", ["今日は晴れ。", "明日は雨。"]),
    ],
)
def test_split_sentences(text: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in split_sentences(text)] == expected


MANUAL = Evidence(
    1,
    """Valve control handbook

Valve Control Group (http://valves.example)

Thomas Leonard

Contents

1 Introduction . . . . . . . . . . . . . . . . . . . 1

2 Valve maintenance . . . . . . . . . . . . . . . . . 4

3. Valve control by radio

3.1. Radio frequencies of the valve

Chapter 3: Valve control by radio 12

4. Contributors
""",
)
RADIO = Evidence(
    3,
    """3.1. Radio frequencies of the valve

The frequencies of the radio are kept in a table of the controller, and who wants to change one of them needs the

key of the control room.
""",
)
REFERENCES = Evidence(
    2,
    """VALVE The valve desktop, http://www.valve.example

[ISO-5210] Industrial valves: multi-turn valve actuator attachments. ISO, 2017. http://www.iso.example/5210

Keller, M. and Doe, J. (2004). The history of the valve. Journal of Valves, 12(3), 45-67.
""",
    heading="References",
)


@pytest.mark.parametrize(
    "question",
    [
        "Who wrote the valve control handbook?",
        "Who are the contributors?",
        "Who maintains the website of the Valve Control Group?",
        "What is on the page about valve maintenance?",
        "What is the history of the valve?",
        "Where is the valve desktop?",
        "What does ISO 5210 say about valve actuators?",
    ],
)
def test_titles_contents_and_references_answer_nothing(question: str) -> None:
    assert answer(question, MANUAL, REFERENCES) == NO_ANSWER


def test_a_sentence_of_the_text_is_quoted_and_not_the_heading_above_it() -> None:
    assert answer("Where are the radio frequencies of the valve kept?", MANUAL, REFERENCES, RADIO) == (
        "The frequencies of the radio are kept in a table of the controller, and who wants to change one of them "
        "needs the key of the control room. [Source 3]"
    )


def test_what_is_no_sentence_is_quoted_for_the_fact_that_it_states() -> None:
    plans = Evidence(1, "the basic plan for small shops\n\nBasic plan € 29 a month\n\nTeam plan € 79 a month")
    assert answer("How much is the basic plan?", plans) == "Basic plan € 29 a month [Source 1]"
    assert answer("Who is the basic plan for?", plans) == NO_ANSWER


def test_a_line_that_announces_is_quoted_with_what_it_announces_or_not_at_all() -> None:
    types = Evidence(1, "The list of types that the parser knows is: • INTEGER; • BOOLEAN; • NULL.")
    assert answer("Which types does the parser know?", types) == (
        "The list of types that the parser knows is: [Source 1]\n"
        "- INTEGER; [Source 1]\n- BOOLEAN; [Source 1]\n- NULL. [Source 1]"
    )
    figure = Evidence(1, "The list of types that the parser knows is:\n\n4 CARD32 N_TYPES\n\n8 CARD32 TYPES_OFFSET")
    assert answer("Which types does the parser know?", figure) == NO_ANSWER


def test_the_lines_of_a_record_are_quoted_together() -> None:
    lines = (
        "shops.Harbour Street.city: Lynmouth", "shops.Harbour Street.phone: 01598 555 010",
        "shops.Old Mill.city: Barrowden", "shops.Old Mill.phone: 01572 555 044",
        "shops.Old Mill.opens: Monday to Friday, 8:00 to 17:00, but not on holidays", "office.city: Lynmouth",
    )  # fmt: skip
    assert answer("What is the phone number of the shop in Barrowden?", Evidence(1, "\n".join(lines))) == "\n".join(
        f"- {line} [Source 1]" for line in lines[2:5]
    )


def test_an_item_of_many_sentences_is_a_paragraph() -> None:
    elements = Evidence(
        1,
        "Each type may have these elements:\n\n• The glob element has a pattern. A file that matches it has the type. "
        "Its weight is 50 unless another one is given.\n\n• The icon element names an icon. Users may override it. "
        "Only one is allowed.",
    )
    assert answer("What is the default weight of a glob element?", elements) == (
        "The glob element has a pattern. [Source 1] A file that matches it has the type. [Source 1] "
        "Its weight is 50 unless another one is given. [Source 1]"
    )


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("It is open. Ask us! Why? “Yes.”", [True] * 4),
        ("The warranty covers parts that fail within the", [False]),
        ("Fabio Fiorina\nSimon Josefsson", [False]),
        ("Phone: 555 0199", [True]),
        ("City: Lynmouth\nOpens: Tuesday to Saturday\nManager: Oona Pell", [True] * 3),
        ("- Contributors\n- a pump with two seals\n- a pump with one seal,", [False, True, False]),
        ("Introduction ........ 1\nValves ____________ 2", []),
        ("ติดต่อเราได้ทุกวันตั้งแต่เก้าโมงเช้า", [True]),
        ("हम सोमवार को खुले हैं। यह निःशुल्क है।", [True]),
        ("هل التوصيل مجاني؟", [True]),
        ("他说……保修期是两年。", [True]),
        ("[Note] See https://acme.example/prices for what is new.", [True]),
    ],
)
def test_what_says_something_by_itself(text: str, whole: list[bool]) -> None:
    assert [sentence.is_whole for sentence in split_sentences(text)] == whole


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("2.8. The files\n\nThey are here.", ["2.8. The files"]),
        ("3. Files\n\nThey are here.", ["3. Files"]),
        ("3. Files\n4. Folders\n\nThey are here.", ["", "", ""]),
        ("2.5 EUR a day\n\nThey are here.", ["", ""]),
        ("Chapter 2: Files 12\n\nThey are here.", [""]),
    ],
)
def test_numbered_titles_are_headings(text: str, headings: list[str]) -> None:
    assert [sentence.heading for sentence in split_sentences(text)] == headings


def test_headings_stand_above_sentences() -> None:
    sentences = split_sentences(PUMP)
    assert {sentence.heading for sentence in sentences} == {"X200 centrifugal pump", "Warranty", "Maintenance"}
    assert [sentence.heading for sentence in split_sentences(SHOP)] == ["Returns"] * 2 + ["Shipping"] * 2 + [
        "Contact"
    ] * 2


def test_a_sentence_without_end_is_cut_into_quotable_parts() -> None:
    sentences = split_sentences("word " * 400)
    assert max(len(sentence.text) for sentence in sentences) <= 500
    assert " ".join(sentence.text for sentence in sentences) == ("word " * 400).strip()


@pytest.mark.parametrize("line", ["." * 200_000, ". " * 100_000, "_" * 200_000, "- " * 100_000, "x. " * 70_000])
def test_a_long_line_of_marks_is_read_in_no_time(line: str) -> None:
    # Quadratic patterns would take minutes, and the suite's time limit would end them.
    assert all(len(sentence.text) <= 500 for sentence in split_sentences(line))


def test_terms_are_stems_without_stop_words() -> None:
    assert terms("How long are the warranties on X-200 pumps?") == {"warranti", "x200", "pump"}
    assert terms("4,000 hours at 3.5 bar") == {"4,000", "hour", "3.5", "bar"}


PRICES = """Product: Pump X1; Price: 490.00; Warranty: 24 months; Notes: Keep dry. Do not drop.
Product: Pump X2; Price: 590.00; Warranty: 36 months
Product: Garden hose, 20 m, with two brass couplings; Price: 39.90; Warranty: 12 months
Product: Mechanical seal; Price: 12.50; Warranty: none
product: Inlet strainer; price: 7.20; warranty: 6 months"""
ZONES = "Lyon; zone A; 2 days\nOslo; zone B; 5 days\nReykjavik; zone C; 9 days"


@pytest.mark.parametrize(
    ("question", "row"),
    [
        ("What does the Pump X1 cost?", PRICES.splitlines()[0]),
        ("How long is the warranty of the Pump X2?", PRICES.splitlines()[1]),
        ("What is the price of the garden hose?", PRICES.splitlines()[2]),
        ("How much is a mechanical seal?", PRICES.splitlines()[3]),
        ("What is the price of the inlet strainer?", PRICES.splitlines()[4]),
        ("Which zone is Oslo in?", "Oslo; zone B; 5 days"),
    ],
)
def test_the_row_that_answers_is_quoted_alone(question: str, row: str) -> None:
    """The rows of a chunk of a CSV, a workbook or a table stand under each other."""
    assert answer(question, Evidence(1, PRICES), Evidence(2, ZONES)) in (f"{row} [Source 1]", f"{row} [Source 2]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PRICES, PRICES.splitlines()),
        (ZONES, ZONES.splitlines()),
        # What only looks like a row: a sentence over several lines, and one that ends.
        (
            "Delivery times: two days at home; abroad: five days, which may become\nlonger before the holidays.",
            ["Delivery times: two days at home; abroad: five days, which may become longer before the holidays."],
        ),
        (
            "We pack the goods with care; we ship them on the day when the payment has\narrived; then you get a mail.",
            ["We pack the goods with care; we ship them on the day when the payment has arrived; then you get a mail."],
        ),
    ],
)
def test_rows_are_sentences_of_their_own(text: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in split_sentences(text)] == expected
