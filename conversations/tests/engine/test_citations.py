from __future__ import annotations

import pytest

from conversations.engine.citations import check_citations, invented_quotations, longest_quote

PASSAGES = {1: "The warranty lasts\n 37 months from purchase.", 2: "Returns within 30 days."}


@pytest.mark.parametrize(
    ("answer", "text", "cited"),
    [
        ("It lasts long [Source 1].", "It lasts long [Source 1].", (1,)),
        ("It lasts long [1].", "It lasts long [Source 1].", (1,)),
        ("Both [source 2, 1]", "Both [Source 2, 1]", (2, 1)),
        ("Both [Source 1, Source 2]", "Both [Source 1, 2]", (1, 2)),
        ("Both [Sources 1; 2]", "Both [Source 1, 2]", (1, 2)),
        ("Made up [Source 9].", "Made up.", ()),
        ("Half [Source 9, 2].", "Half [Source 2].", (2,)),
        ("An [array] of [ten] and [a1]", "An [array] of [ten] and [a1]", ()),
        ("Twice [1] and [Source 1].", "Twice [Source 1] and [Source 1].", (1,)),
        ("", "", ()),
    ],
)
def test_markers_are_put_into_one_form_and_false_ones_removed(answer: str, text: str, cited: tuple[int, ...]) -> None:
    checked = check_citations(answer, PASSAGES)
    assert (checked.text, checked.cited) == (text, cited)


def test_a_false_marker_is_reported() -> None:
    assert check_citations("x [Source 9]", PASSAGES).warnings == (
        "The answer pointed to source 9, which it was not given.",
    )


def test_a_quote_is_found_across_white_space_and_case_and_returned_as_it_stands() -> None:
    answer = "As the manual says: The warranty lasts 37 months from purchase. [Source 1]"
    assert check_citations("The WARRANTY lasts 37 months from purchase. [Source 1]", PASSAGES).quotes == {
        1: "The warranty lasts\n 37 months from purchase."
    }
    assert check_citations(answer, PASSAGES).quotes == {}  # the sentence as a whole does not stand there


STANDS, INVENTED = "lasts 37 months from purchase", "lasts 99 months from purchase"


@pytest.mark.parametrize(
    "marks",
    [
        '"{}"', "'{}'", "“{}”", "‘{}’", "„{}“", "„{}”", "‚{}‘", "«{}»", "« {} »", "»{}«", "‹{}›", "”{}”",
        "「{}」", "『{}』", "〝{}〟", "＂{}＂",
    ],
)  # fmt: skip
def test_a_quotation_that_does_not_stand_there_is_reported_whatever_its_marks(marks: str) -> None:
    true, false = (f"It says {marks.format(text)} [Source 1]." for text in (STANDS, INVENTED))
    assert check_citations(true, PASSAGES).warnings == ()
    assert check_citations(false, PASSAGES).warnings == (
        "The answer puts words in quotation marks that do not stand in source 1.",
    )


@pytest.mark.parametrize(
    ("answer", "invented"),
    [
        ("“The *warranty* … from PURCHASE.” [Source 1]", []),  # left out, emphasis, a full stop of one's own
        ("“The warranty [...] for ever” [Source 1]", [(1,)]),
        ("“The warranty lasts 37 months [Source 1]”", []),
        ("“The warranty lasts 99 months [Source 1]”", [(1,)]),
        ("“Returns within 30 days” [Source 1]", [(1,)]),  # it stands in another source
        ("“Returns within 30 days” [Source 1, 2]", []),
        ("“The warranty lasts” [Source 1] and “within 40 days” [Source 2]", [(2,)]),
        ("“Nothing is said of it” but no marker follows", []),
        ("According to [Source 1], “it lasts 99 months.”", [(1,)]),
        ("According to [Source 1], “lasts 37 months” is what one reads.", []),
        ("[Source 1] says “lasts 37 months.” Returns are taken for 30 days [Source 2].", []),
        ("It ends. [Source 2] “Lasts 37 months from purchase.” [Source 1] Not more.", []),
        ("It ends. [Source 1] “Lasts 99 months! From purchase.” [Source 2]", [(2,)]),
        ("By [Source 1] it “lasts 37 months”, whatever is said of returns [Source 2].", []),
        ("By [Source 1] it lasts. “Within 30 days” is for returns. So says [Source 2].", []),
        ("By [Source 1] it lasts. “Within 40 days” is for returns. So says [Source 2].", [(1, 2)]),
        ("保証は続く。[Source 2]「lasts 37 months」とある。[Source 1]", []),
        ("“Nothing is said of it”\nA new paragraph. [Source 1]", []),
        ("The button “Reset” [Source 1]", []),
        ("A 5\" pipe of the pump's and a 6\" hose, it's said [Source 1]", []),
        ("It’s the company’s ‘warranty that doesn’t last’ [Source 1]", [(1,)]),
        ("„Die Garantie gilt\u00ad ewig“ und «la garantie dure» [Source 2]", [(2,), (2,)]),
    ],
)
def test_quotations_are_compared_with_the_sources_that_their_marker_names(
    answer: str, invented: list[tuple[int, ...]]
) -> None:
    assert invented_quotations(answer, PASSAGES) == invented


def test_many_opened_quotations_take_no_longer_than_the_text_is_long() -> None:
    assert invented_quotations("“" * 100_000 + " '" * 50_000 + ' "' * 50_000 + " [Source 1]", PASSAGES) == []


def test_an_invented_quote_is_none() -> None:
    assert longest_quote("The warranty lasts 99 months from purchase, always.", PASSAGES[1]) == ""


@pytest.mark.parametrize("character", ["İ", "ß", "ﬁ", "𝒳", "\u200b"])
def test_characters_that_change_their_length_in_lower_case_do_not_shift_the_quote(character: str) -> None:
    passage = f"{character}{character} before. The quoted sentence is exactly this one. After."
    quote = "The quoted sentence is exactly this one."
    assert longest_quote(quote, passage) == quote
