"""Reports on conversations, documents and agents, counted from the rows of every company's schema."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from agents.ratings import stars
from analytics.selectors.everywhere import companies_with_schema, select_everywhere
from analytics.selectors.periods import Period, share
from analytics.selectors.usage import gigabytes
from documents.enums import DocumentStatus

Report = dict[str, Any]
TOP_AGENTS = 10
MB = 2**20


def _parameters(period: Period, **filters: Any) -> Report:
    return {"start": period.start, "end": period.end, "interval": period.interval, **filters}


# --- Conversations ------------------------------------------------------------------------------------------------

# Archived conversations are those that people have deleted; they were held all the same.
CONVERSATIONS = """
SELECT {company} AS company_id, agent.id, agent.name, agent.status, model.name,
  CASE WHEN talk.archived_at IS NULL THEN talk.status ELSE 'deleted' END,
  date_trunc(%(interval)s, talk.created_at), count(*), coalesce(sum(talk.message_count), 0)::bigint,
  coalesce(sum(rated.count), 0)::bigint, coalesce(sum(rated.sum), 0)::bigint
FROM {conversations} AS talk
  JOIN {agents} AS agent ON agent.id = talk.agent_id
  JOIN {settings} AS settings ON settings.id = agent.llm_settings_id
  JOIN {models} AS model ON model.id = settings.llm_model_id
  CROSS JOIN LATERAL (
    SELECT count(*), sum(user_feedback) FROM {messages}
    WHERE conversation_id = talk.id AND user_feedback IS NOT NULL
  ) AS rated
WHERE talk.created_at >= %(start)s AND talk.created_at < %(end)s
  AND (%(agent_id)s::uuid IS NULL OR talk.agent_id = %(agent_id)s::uuid)
  AND (%(status)s = '' OR CASE WHEN talk.archived_at IS NULL THEN talk.status ELSE 'deleted' END = %(status)s)
GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


@dataclass
class _Tally:
    conversations: int = 0
    messages: int = 0

    def add(self, conversations: int, messages: int) -> None:
        self.conversations += conversations
        self.messages += messages

    @property
    def average(self) -> float:
        return share(self.messages, self.conversations)


@dataclass
class _AgentTally(_Tally):
    id: uuid.UUID | None = None
    name: str = ""
    status: str = ""
    model_name: str = ""
    company_id: uuid.UUID | None = None
    ratings: int = 0
    rating_sum: int = 0
    series: dict[Any, _Tally] = field(default_factory=lambda: defaultdict(_Tally))


def _conversations(period: Period, filters: Report) -> tuple[list[_AgentTally], Counter[str]]:
    agents: dict[uuid.UUID, _AgentTally] = {}
    statuses: Counter[str] = Counter()
    parameters = _parameters(period, agent_id=filters.get("agent_id"), status=filters.get("status", ""))
    companies = companies_with_schema(filters.get("company_id"))
    for row in select_everywhere(companies, CONVERSATIONS, parameters):
        company_id, agent_id, name, agent_status, model, status, bucket, count, messages, ratings, rating_sum = row
        fresh = _AgentTally(id=agent_id, name=name, status=agent_status, model_name=model, company_id=company_id)
        agent = agents.setdefault(agent_id, fresh)
        agent.add(count, messages)
        agent.ratings += ratings
        agent.rating_sum += rating_sum
        agent.series[bucket].add(count, messages)
        statuses[status] += count
    return sorted(agents.values(), key=lambda agent: (-agent.conversations, agent.name)), statuses


def conversation_report(period: Period, filters: Report) -> Report:
    agents, statuses = _conversations(period, filters)
    total = _Tally()
    series: dict[Any, _Tally] = defaultdict(_Tally)
    for agent in agents:
        total.add(agent.conversations, agent.messages)
        for bucket, tally in agent.series.items():
            series[bucket].add(tally.conversations, tally.messages)
    return {
        "summary": {
            **period.summary(),
            "total_conversations": total.conversations,
            "total_messages": total.messages,
            "avg_conversation_length": total.average,
        },
        "status_breakdown": dict(statuses.most_common()),
        "time_series": [
            {
                "date": period.label(bucket),
                "conversation_count": series[bucket].conversations,
                "avg_messages_per_conversation": series[bucket].average,
            }
            for bucket in period.buckets()
        ],
        "top_agents": [
            {
                "agent_id": agent.id,
                "agent_name": agent.name,
                "company_id": agent.company_id,
                "conversation_count": agent.conversations,
                "total_messages": agent.messages,
                "avg_messages": agent.average,
            }
            for agent in agents[:TOP_AGENTS]
        ],
    }


def agent_performance_trends(period: Period, filters: Report) -> Report:
    """Agents that had conversations in the period. `avg_rating` is of the answers in these conversations."""
    least = max(filters.get("min_conversations", 1), 1)
    agents = [agent for agent in _conversations(period, filters)[0] if agent.conversations >= least]
    total = sum(agent.conversations for agent in agents)
    return {
        "summary": {
            **period.summary(),
            "total_agents": len(agents),
            "total_conversations": total,
            "avg_conversations_per_agent": share(total, len(agents)),
        },
        "performance_trends": [
            {
                "agent_id": agent.id,
                "agent_name": agent.name,
                "company_id": agent.company_id,
                "model_name": agent.model_name,
                "status": agent.status,
                "avg_rating": stars(agent.rating_sum, agent.ratings),
                "total_conversations": agent.conversations,
                "time_series": [
                    {
                        "date": period.label(bucket),
                        "conversations": tally.conversations,
                        "avg_messages": tally.average,
                    }
                    for bucket, tally in sorted(agent.series.items())
                ],
            }
            for agent in agents
        ],
    }


# --- Agents -------------------------------------------------------------------------------------------------------

AGENTS = """
SELECT agent.status, model.name, count(DISTINCT agent.id), count(reply.id),
  count(reply.id) FILTER (WHERE reply.status = 'completed'),
  count(reply.user_feedback), coalesce(sum(reply.user_feedback), 0)::bigint
FROM {agents} AS agent
  JOIN {settings} AS settings ON settings.id = agent.llm_settings_id
  JOIN {models} AS model ON model.id = settings.llm_model_id
  LEFT JOIN {conversations} AS talk ON talk.agent_id = agent.id
  LEFT JOIN {messages} AS reply ON reply.conversation_id = talk.id AND reply.role = 'assistant'
    AND reply.author_id IS NULL AND reply.error_code <> 'TAKEN_OVER'
    AND reply.status IN ('completed', 'failed') AND reply.created_at >= now() - interval '30 days'
WHERE agent.archived_at IS NULL GROUP BY 1, 2
"""


def agent_metrics(*, by: str, company_id: uuid.UUID | None) -> Report:
    """Live agents by their state (`by` type) or model. `sla` is the percentage of the answers of the last 30 days
    that did not fail, and `avg_rating` is of the same answers; without answers both are 0."""
    agents, answers, answered = Counter[str](), Counter[str](), Counter[str]()
    ratings, rating_sums = Counter[str](), Counter[str]()
    for status, model, agent_count, answer_count, good, rated, rating_sum in select_everywhere(
        companies_with_schema(company_id), AGENTS, {}
    ):
        label = model if by == "model" else status
        agents[label] += agent_count
        answers[label] += answer_count
        answered[label] += good
        ratings[label] += rated
        rating_sums[label] += rating_sum
    return {
        "average_sla": share(answered.total() * 100, answers.total(), digits=1),
        "buckets": [
            {
                "label": label,
                "agent_count": count,
                "avg_rating": stars(rating_sums[label], ratings[label]),
                "sla": share(answered[label] * 100, answers[label], digits=1),
            }
            for label, count in agents.most_common()
        ],
    }


# --- Documents ----------------------------------------------------------------------------------------------------

DOCUMENTS = """
SELECT document.status, document.document_type, date_trunc(%(interval)s, document.created_at), count(*),
  coalesce(sum(document.file_size), 0)::bigint, coalesce(sum(document.word_count), 0)::bigint,
  sum(extract(epoch FROM job.finished_at - job.started_at)), count(job.id)
FROM {documents} AS document LEFT JOIN LATERAL (
  SELECT id, started_at, finished_at FROM {jobs} WHERE document_id = document.id AND status = 'completed'
    AND started_at IS NOT NULL AND finished_at IS NOT NULL ORDER BY created_at DESC LIMIT 1
) AS job ON true
WHERE document.created_at >= %(start)s AND document.created_at < %(end)s AND document.archived_at IS NULL
  AND (%(document_type)s = '' OR document.document_type = %(document_type)s)
  AND (%(status)s = '' OR document.status = %(status)s)
GROUP BY 1, 2, 3
"""


def document_report(period: Period, filters: Report) -> Report:
    """Documents added in the period that are not archived."""
    parameters = _parameters(period, document_type=filters.get("document_type", ""), status=filters.get("status", ""))
    statuses, types, sizes = Counter[str](), Counter[str](), Counter[str]()
    per_bucket: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])  # documents, bytes, words
    seconds, read = 0.0, 0
    companies = companies_with_schema(filters.get("company_id"))
    for status, kind, bucket, count, size, words, took, jobs in select_everywhere(companies, DOCUMENTS, parameters):
        statuses[status] += count
        types[kind or "unknown"] += count
        sizes[kind or "unknown"] += size
        per_bucket[bucket] = [old + new for old, new in zip(per_bucket[bucket], (count, size, words), strict=True)]
        seconds += float(took or 0)
        read += jobs
    done, failed = statuses[DocumentStatus.PROCESSED], statuses[DocumentStatus.FAILED]
    return {
        "summary": {
            **period.summary(),
            "total_documents": statuses.total(),
            "processed_documents": done,
            "processing_success_rate": share(done * 100, done + failed, digits=1),
            "avg_processing_time_seconds": share(seconds, read),
            "total_storage_bytes": sizes.total(),
            "total_storage_gb": gigabytes(sizes.total()),
        },
        "status_breakdown": dict(statuses.most_common()),
        "type_breakdown": {
            kind: {"count": count, "total_size_bytes": sizes[kind], "total_size_mb": _megabytes(sizes[kind])}
            for kind, count in types.most_common()
        },
        "time_series": [_document_point(period.label(bucket), per_bucket[bucket]) for bucket in period.buckets()],
    }


def _document_point(label: str, sums: list[int]) -> Report:
    count, size, words = sums
    return {
        "date": label,
        "document_count": count,
        "total_size_bytes": size,
        "total_size_mb": _megabytes(size),
        "avg_word_count": share(words, count),
    }


def _megabytes(size: int) -> float:
    return round(size / MB, 2)
