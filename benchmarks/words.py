"""Made-up prose: sentences of ordinary length from a fixed vocabulary."""

from __future__ import annotations

import random

_VOCABULARY = """
account address agreement amount annual answer apply approval area average balance batch before belt board branch
budget cable calendar carrier certificate change channel check client clause code collect column complete condition
confirm contact contract copy corner cost counter cover customer cycle damage date deadline deliver department deposit
design detail device direct discount display district document door driver early effect engine entry equal equipment
estimate evening exchange expense express factory failure feature field filter final finish floor folder follow form
forward freight function gauge general goods ground group guarantee guide handle heavy holder hour house import include
index inform inside inspect install insurance invoice item joint journal keep label large late leave length letter
level licence light limit line list load local lock machine maintain manual margin market material measure meeting
member message metal method minute model monitor month motor move network night normal notice number office oil open
order origin outside packet paint panel paper parcel part partner pattern payment permit person phone pipe place plan
plant plate point policy port power press pressure price print process product profile project protect pump purchase
quality quarter question quick rail range rate reader reason receipt record reduce refund region register release
repair replace report request reserve result return review right room route safety sample scale schedule screen screw
season second section select send series service sheet shelf shift ship short signal site size small software source
space spare speed staff stage standard start station steel step stock store street strong supplier supply support
surface switch system table tank target team temperature term test ticket time tool track trade train transfer travel
truck turn unit update upper valid value valve vendor visit volume wait wall warning warranty waste water week weight
wheel window wire worker workshop yard year zone
"""
VOCABULARY = _VOCABULARY.split()


def prose(characters: int, source: random.Random) -> str:
    """Paragraphs of four to seven sentences, at least `characters` long."""
    paragraphs: list[str] = []
    length = 0
    while length < characters:
        sentences = [sentence(source) for _ in range(source.randint(4, 7))]
        paragraphs.append(" ".join(sentences))
        length += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)


def sentence(source: random.Random) -> str:
    found = source.choices(VOCABULARY, k=source.randint(8, 20))
    return f"The {' '.join(found)}."
