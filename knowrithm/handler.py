"""Django under ASGI, for views and middleware that are all synchronous."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import structlog
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from knowrithm.charset import AsgiRequest

log = structlog.get_logger(__name__)

# Made as they are needed, and kept. One that waits for somebody else's server holds no database connection.
THREADS = 256
SENDING_SECONDS = 0.05  # a slow reader keeps the thread and its connection no longer


class SyncHandler(ASGIHandler):
    """Django's handler with one hop to a thread for the whole request.

    Django starts a thread for each, and goes there and back for its first signal, for the view and for its last signal.
    In its asynchronous chain each middleware of the old style would go there and back as well, twice: about a third of
    a small request's time.
    """

    request_class = AsgiRequest

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(THREADS, "request")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        answered: asyncio.Future[HttpResponseBase] = asyncio.get_running_loop().create_future()
        sent = threading.Event()
        # In a context of its own: what one request sets there is not to be found by the thread's next one.
        self._threads.submit(contextvars.copy_context().run, self._answer, scope, body, answered, sent)
        response = await answered
        if response.streaming:
            async with ThreadSensitiveContext():
                await self._stream(response, receive, send)
            return
        try:
            await self.send_response(response, send)
        finally:
            sent.set()

    def _answer(
        self, scope: Any, body: IO[bytes], answered: asyncio.Future[HttpResponseBase], sent: threading.Event
    ) -> None:
        """In a thread. The response goes out as soon as it is there, and its end is seen to after that."""
        try:
            set_script_prefix(get_script_prefix(scope))
            signals.request_started.send(sender=type(self), scope=scope)
            request, refusal = self.create_request(scope, body)
            if request is None:
                body.close()
            response: Any = refusal if request is None else self.get_response(request)
            response._handler_class = type(self)
        except BaseException as error:  # whoever waits is told, whatever it was
            _hand_over(answered.set_exception, answered, error)
            return
        _hand_over(answered.set_result, answered, response)
        try:
            if response.streaming:
                close_old_connections()  # its pieces are another thread's, and so is its end
            else:
                sent.wait(SENDING_SECONDS)
                response.close()
        except Exception:
            log.exception("request_not_ended")

    async def _stream(self, response: HttpResponseBase, receive: Any, send: Any) -> None:
        """Piece by piece, until the reader goes."""
        sending = asyncio.create_task(self.send_response(response, send))
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            sent, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
            await sync_to_async(response.close)()
        if isinstance(sent, Exception):
            raise sent


def _hand_over(set_outcome: Any, answered: asyncio.Future[HttpResponseBase], outcome: Any) -> None:
    def set_unless_gone() -> None:
        if not answered.cancelled():  # else the server is ending
            set_outcome(outcome)

    answered.get_loop().call_soon_threadsafe(set_unless_gone)
