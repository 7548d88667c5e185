"""Which questions say too little on their own: "And in winter?", "Und im Winter?", "Where is it made?"."""

from __future__ import annotations

import re

from documents.ingestion.lexical import terms, words

# A longer question says enough, whatever pronoun it holds.
SHORTEST_QUESTION, LONGEST_FOLLOW_UP = 2, 4  # terms
LEANS_ON_PREVIOUS = re.compile(
    r"^\W*(?:and|but|or|also|then|what about|how about)\b"
    r"|^\W*(?:und|aber|oder|et|mais|y|e|pero|maar|och|og|ve|peki|ama|и|а|но|та|але)(?=[\s,'’])"
    r"|^\W*(?:那|では|じゃあ)"
    r"|\b(?:it|its|they|them|their|this|that|these|those|he|him|his|she|her|there|ones?|same)\b"
    r"|(?:呢|は)\W*$",
    re.IGNORECASE,
)
# Words of other languages that tell nothing to search for. The search keeps them, for it does not know the language of
# a question; a short question is only counted without them.
_LITTLE_WORDS = """
der die das den dem des ein eine einen einem einer eines und oder aber auch im in am an auf aus bei mit nach von vom zu
zum zur für über unter vor es er sie ihr ihm ihn wir ist sind war hat haben wird werden kann können was wer wie wo wann
warum welche welcher welches nicht noch dann da dort davon dazu damit
le la les un une des du de au aux et ou mais dans en sur pour par avec sans il elle ils elles on ce cet cette ces ça
cela est sont était a ont que qui quoi quel quelle quels quelles quand où comment pourquoi combien y ne pas aussi
el los las una unos unas del al y o pero sobre para por con sin es son fue ha han lo que qué quién cuál cuáles cuándo
dónde cómo cuánto cuántos eso esto esta este no también se su sus
il lo gli i uno di da nel nella sul per tra fra e ma è sono era ha hanno che chi cosa quale quali quando dove come
perché quanto questo questa ci si non anche
o os as um uma do dos das ao no na nos nas em com sem é são foi tem que quem qual quais onde isso isto esse essa não
também
de het een van op voor met door naar bij uit is zijn was heeft hebben wat wie waar wanneer hoe waarom welke dat dit die
deze er niet ook
w we z ze na do od po za przez dla i oraz a ale czy co kto gdzie kiedy jak dlaczego który która które to ten ta jest są
był nie też
ve ile bir bu şu o da de mi mı mu mü ne kim nerede nasıl neden hangi için
и в во на с со к по за из от до для а но или что кто где когда как почему какой какая какое какие это он она оно они не
та але або що хто де коли чому який яка яке це він вона воно вони й і у
"""
_WORDS_THAT_TELL_NOTHING = frozenset(words(_LITTLE_WORDS))


def is_self_contained(question: str) -> bool:
    """The question says enough to be searched for without the one before."""
    length = len(set(terms(question)))
    if length <= LONGEST_FOLLOW_UP:
        length = len(set(terms(" ".join(word for word in words(question) if word not in _WORDS_THAT_TELL_NOTHING))))
    if length < SHORTEST_QUESTION:
        return False
    return length > LONGEST_FOLLOW_UP or LEANS_ON_PREVIOUS.search(question) is None
