from __future__ import annotations

from knowrithm.errors import InvalidInputError, TooLargeError


class RejectedFileError(InvalidInputError):
    """A file that cannot be taken; the sentence is for the person who sent it, the code says which rule."""

    code = "DOC_REJECTED"


class FileTooLargeError(TooLargeError):
    code = "DOC_TOO_LARGE"


class CrawlError(Exception):
    """A website cannot be crawled just now. `str(error)` is a sentence for its owner."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
