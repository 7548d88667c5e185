"""What happens to a connection between two requests."""

from __future__ import annotations

import psycopg


def clean(connection: psycopg.Connection) -> None:
    """Give up the company's role and search path. The pool does this in a thread of its own, when nobody waits.

    The role may be gone by the time the connection is used again, when its company was purged.
    """
    connection.execute("RESET ROLE; RESET search_path")
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        connection.commit()
