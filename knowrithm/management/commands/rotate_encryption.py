from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from knowrithm.db.rotation import Tally, blind_indexes, encrypted_columns, rebuild_index, rotate_column


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret with the first key of ENCRYPTION_KEY, and rebuild the blind indexes under "
        "SECRET_KEY. May be killed and run again at any time. Ends with status 1 while a value still needs another key."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; say what rests on older keys.")

    def handle(self, *args: Any, **options: Any) -> None:
        is_check = bool(options["check"])
        total = Tally()
        for column in encrypted_columns():
            found = Tally()
            for tally in rotate_column(column, is_check=is_check):
                found.add(tally)
                if found.older or found.unreadable:
                    verb = "on older keys" if is_check else "re-encrypted"
                    self._say(f"{column}: {found.older} of {found.seen} {verb}")
            total.add(found)
        indexes = self._rebuild(is_check=is_check)
        self._summary(total, is_check=is_check)
        if total.unreadable or (is_check and (total.older or indexes.older)):
            sys.exit(1)

    def _rebuild(self, *, is_check: bool) -> Tally:
        total = Tally()
        for column in blind_indexes():
            found = Tally()
            for tally in rebuild_index(column, is_check=is_check):
                found.add(tally)
                if found.older:
                    verb = "under older keys" if is_check else "rebuilt"
                    self._say(f"{column}: {found.older} of {found.seen} {verb}")
            total.add(found)
        if is_check:
            self._say(f"{total.older} of {total.seen} blind indexes rest on an older SECRET_KEY.")
        else:
            self._say(f"{total.older} blind indexes rebuilt, {total.current} were under SECRET_KEY already.")
        if total.doubles:
            self._say(f"{total.doubles} blind indexes were left: a newer row has the same value.")
        return total

    def _summary(self, total: Tally, *, is_check: bool) -> None:
        if is_check:
            self._say(f"{total.older} of {total.seen} values rest on older keys.")
        else:
            self._say(f"{total.older} values re-encrypted, {total.current} were under the first key already.")
        if total.unreadable:
            self._say(f"{total.unreadable} values cannot be read: add the key that wrote them to ENCRYPTION_KEY.")
        elif not (is_check and total.older):
            self._say("The first key opens everything: older ones may be taken from ENCRYPTION_KEY.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()  # progress that is read through a pipe, too
