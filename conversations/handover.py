"""Who may have a conversation next: the rules of handing over, without rows.

    agent ──request──> waiting ──take──> person ──hand back──> agent
                                            ├──close──> closed ──the visitor writes──> agent
                                            └──leave──> waiting

Whoever changes the owner holds the conversation's row locked, so these rules are applied to one change after the other.
"""

from __future__ import annotations

import uuid
from enum import StrEnum

from conversations.enums import Owner
from conversations.exceptions import ConversationTakenError, HandoverStateError, NotTakenError


class Act(StrEnum):
    REQUEST = "request"
    TAKE = "take"
    ASSIGN = "assign"
    HAND_BACK = "hand_back"
    CLOSE = "close"
    WRITE = "write"  # the visitor
    LEAVE = "leave"  # a person who cannot sign in any more, or does not answer


NEXT: dict[tuple[Owner, Act], Owner] = {
    (Owner.AGENT, Act.REQUEST): Owner.WAITING,
    (Owner.WAITING, Act.REQUEST): Owner.WAITING,
    (Owner.PERSON, Act.REQUEST): Owner.PERSON,
    (Owner.CLOSED, Act.REQUEST): Owner.WAITING,
    **{(owner, act): Owner.PERSON for owner in Owner for act in (Act.TAKE, Act.ASSIGN)},
    (Owner.WAITING, Act.HAND_BACK): Owner.AGENT,
    (Owner.PERSON, Act.HAND_BACK): Owner.AGENT,
    (Owner.AGENT, Act.CLOSE): Owner.CLOSED,
    (Owner.WAITING, Act.CLOSE): Owner.CLOSED,
    (Owner.PERSON, Act.CLOSE): Owner.CLOSED,
    **{(owner, Act.LEAVE): Owner.WAITING if owner == Owner.PERSON else owner for owner in Owner},
    (Owner.AGENT, Act.WRITE): Owner.AGENT,
    (Owner.WAITING, Act.WRITE): Owner.WAITING,
    (Owner.PERSON, Act.WRITE): Owner.PERSON,
    (Owner.CLOSED, Act.WRITE): Owner.AGENT,
}
REFUSED = {
    (Owner.AGENT, Act.HAND_BACK): "The agent has this conversation already.",
    (Owner.CLOSED, Act.HAND_BACK): "This conversation is closed. The agent answers when the visitor writes again.",
    (Owner.CLOSED, Act.CLOSE): "This conversation is closed already.",
}


def owner_after(owner: str, act: Act) -> Owner:
    """Raises `HandoverStateError`."""
    before = Owner(owner)
    if (before, act) in REFUSED:
        raise HandoverStateError(REFUSED[before, act])
    return NEXT[before, act]


def check_may(
    act: Act, *, owner: str, person_id: uuid.UUID | None, person_name: str, actor_id: uuid.UUID, is_admin: bool
) -> None:
    """Somebody else's conversation is not taken from them, but by an admin who assigns, hands back or closes it.

    Raises `ConversationTakenError`, which names who has it.
    """
    if owner != Owner.PERSON or person_id == actor_id or (is_admin and act != Act.TAKE):
        return
    raise ConversationTakenError(f"{person_name} has this conversation.")


def check_has(*, owner: str, person_id: uuid.UUID | None, person_name: str, actor_id: uuid.UUID) -> None:
    """Only who has it speaks to the visitor. Raises `NotTakenError`, `ConversationTakenError`."""
    if owner != Owner.PERSON:
        raise NotTakenError("Take this conversation first, so that the visitor knows who speaks.")
    if person_id != actor_id:
        raise ConversationTakenError(f"{person_name} has this conversation.")
