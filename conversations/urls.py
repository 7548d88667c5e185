from __future__ import annotations

from django.urls import path

from conversations import (
    views,
    views_continue,
    views_directory,
    views_guardrails,
    views_inbox,
    views_leads,
    views_replays,
)

urlpatterns = [
    path("home", views.home, name="home"),
    path("agents/<uuid:pk>", views.agent, name="agent"),
    path("agents/<uuid:pk>/chat", views.chat, name="agent-chat"),
    path("conversations", views_directory.conversations, name="conversations"),
    path("conversations/<uuid:pk>", views_directory.conversation, name="conversation"),
    path("conversations/<uuid:pk>/close", views_directory.close, name="conversation-close"),
    path("conversations/<uuid:pk>/reopen", views_directory.reopen, name="conversation-reopen"),
    path("conversations/<uuid:pk>/archive", views.archive, name="conversation-archive"),
    path("conversations/<uuid:pk>/restore", views.restore, name="conversation-restore"),
    path("conversations/messages/<uuid:pk>", views_replays.answer, name="answer"),
    path("conversations/messages/<uuid:pk>/replay", views_replays.replay, name="answer-replay"),
    path("conversations/passage/<uuid:pk>", views.passage, name="passage"),
    path("inbox", views_inbox.inbox, name="inbox"),
    path("inbox/marks", views_inbox.marks, name="inbox-marks"),
    path("inbox/presence", views_inbox.presence, name="inbox-presence"),
    path("inbox/replies", views_inbox.replies, name="canned-replies"),
    path("inbox/replies/<uuid:pk>", views_inbox.reply, name="canned-reply"),
    path("inbox/replies/<uuid:pk>/delete", views_inbox.delete_reply, name="canned-reply-delete"),
    path("inbox/<uuid:pk>/take", views_inbox.take, name="inbox-take"),
    path("inbox/<uuid:pk>/assign", views_inbox.assign, name="inbox-assign"),
    path("inbox/<uuid:pk>/write", views_inbox.write, name="inbox-write"),
    path("inbox/<uuid:pk>/back", views_inbox.back, name="inbox-back"),
    path("inbox/<uuid:pk>/close", views_inbox.close, name="inbox-close"),
    path("continue", views_continue.go_on, name="continue"),
    path("leads/<uuid:pk>", views_leads.lead, name="lead"),
    path("demo", views.demo, name="demo"),
    path("guardrails", views_guardrails.guardrail_list, name="guardrails"),
    path("guardrails/new", views_guardrails.create, name="guardrail-create"),
    path("guardrails/decisions", views_guardrails.decisions, name="guardrail-decisions"),
    path("guardrails/<uuid:pk>", views_guardrails.guardrail, name="guardrail"),
    path("guardrails/<uuid:pk>/try", views_guardrails.trial, name="guardrail-try"),
    path("guardrails/<uuid:pk>/delete", views_guardrails.delete, name="guardrail-delete"),
]
