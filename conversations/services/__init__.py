"""What a request does to conversations. Answering is a worker's business (conversations.turn)."""

from conversations.services.directory import (
    DEFAULT_TITLE,
    archive_conversation,
    create_conversation,
    restore_conversation,
    update_conversation,
)
from conversations.services.messages import (
    archive_message,
    archive_messages,
    rate_message,
    restore_message,
    restore_messages,
)
from conversations.services.replays import start_replay
from conversations.services.turns import (
    DEFAULT_TEST_QUESTION,
    MAX_MESSAGE_LENGTH,
    Turn,
    ask_again,
    ask_agent,
    clean_message,
    edit_question,
    start_test,
    start_turn,
    stop_answer,
)

__all__ = [
    "DEFAULT_TEST_QUESTION",
    "DEFAULT_TITLE",
    "MAX_MESSAGE_LENGTH",
    "Turn",
    "archive_conversation",
    "archive_message",
    "archive_messages",
    "ask_again",
    "ask_agent",
    "clean_message",
    "create_conversation",
    "edit_question",
    "rate_message",
    "restore_conversation",
    "restore_message",
    "restore_messages",
    "start_replay",
    "start_test",
    "start_turn",
    "stop_answer",
    "update_conversation",
]
