from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from conversations import selectors, services
from conversations.api.serializers import ChatAccepted, MessageSerializer, QuestionInput, RatingInput
from conversations.api.views import accepted_turn, traced
from conversations.records import message_record
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import READ, WRITE, WRITE_OR_LEAD
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.principal import PrincipalKind

VISITORS = {"edit", "regenerate", "feedback", "stop"}


class MessageViewSet(ApiViewSet):
    access = {
        "deleted": READ,
        "destroy": WRITE,
        "restore": WRITE,
        "edit": WRITE_OR_LEAD,
        "regenerate": WRITE_OR_LEAD,
        "feedback": WRITE_OR_LEAD,
        "stop": WRITE_OR_LEAD,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        is_visitors = self.action in VISITORS and self.principal().kind == PrincipalKind.LEAD
        is_limited = is_visitors or self.action in {"edit", "regenerate"}
        return [
            *([limit("chat", per="credential")()] if is_limited else []),
            *([limit("visit")()] if is_visitors else []),
        ]

    @extend_schema(
        parameters=PAGE_PARAMETERS, responses=page("DeletedMessages", "deleted_messages", MessageSerializer(many=True))
    )
    def deleted(self, request: Request) -> Response:
        found, pagination = paginate(request, selectors.archived_messages(self.principal()), per_page=50)
        return Response(listing(["deleted_messages", "messages"], [message_record(row) for row in found], pagination))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, message_id: uuid.UUID) -> Response:
        services.archive_message(actor=self.principal(), message_id=message_id)
        return Response({"message": "Message archived.", "message_id": message_id})

    @extend_schema(request=None, responses=SentenceSerializer)
    def restore(self, request: Request, message_id: uuid.UUID) -> Response:
        services.restore_message(actor=self.principal(), message_id=message_id)
        return Response({"message": "Message restored.", "message_id": message_id})

    @extend_schema(request=QuestionInput, responses={202: ChatAccepted})
    def edit(self, request: Request, message_id: uuid.UUID) -> Response:
        """Put the newest question anew: it and its answer are archived, and the new one is answered.

        409 `MESSAGE_REPLACED` for a question that was put anew before.
        """
        text = self.validated(QuestionInput, request)["message"]
        turn = services.edit_question(actor=self.principal(), message_id=message_id, text=text)
        return traced(Response(accepted_turn(turn), status=202), turn.reply)

    @extend_schema(request=None, responses={202: ChatAccepted})
    def regenerate(self, request: Request, message_id: uuid.UUID) -> Response:
        """Have the newest question answered once more; the answer that it had is archived.

        409 `MESSAGE_REPLACED` for an answer or a question that a newer one stands in place of.
        """
        turn = services.ask_again(actor=self.principal(), message_id=message_id)
        return traced(Response(accepted_turn(turn), status=202), turn.reply)

    @extend_schema(request=RatingInput, responses=answer("RatedMessage", data=MessageSerializer()))
    def feedback(self, request: Request, message_id: uuid.UUID) -> Response:
        """What its reader thinks of an answer: a `rating` of 1 or -1, or null, and a `comment`."""
        data = self.validated(RatingInput, request)
        message = services.rate_message(actor=self.principal(), message_id=message_id, **data)
        is_visitor = self.principal().kind == PrincipalKind.LEAD
        language = message.conversation.language if is_visitor else ""
        record = message_record(message, for_visitor=is_visitor, language=language)
        return traced(Response(single("data", record)), message)

    @extend_schema(request=None, responses={202: SentenceSerializer})
    def stop(self, request: Request, message_id: uuid.UUID) -> Response:
        """Have an answer end where it is. What was said by then stays; the call to the model ends within a second.

        The answer has the code `stopped` in its `notices` then. One that had not begun fails with `STOPPED`.
        """
        reply = services.stop_answer(actor=self.principal(), message_id=message_id)
        body = {"message": "The answer ends here.", "message_id": reply.pk}
        return traced(Response(body, status=202), reply)
