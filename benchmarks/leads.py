"""A company with many leads: its list, its search and its board, by the API and on the pages of the dashboard.

The leads are written by a process that has the platform's environment (`python -m benchmarks.leads COMPANY COUNT`):
addresses are hashed with its secrets. `BENCH_LEADS` names another number of leads.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from contextlib import closing
from datetime import timedelta

import httpx2

from benchmarks.platform import PASSWORD, ROOT, Customer, environment_of, new_customer, running_platform
from benchmarks.report import Row, at_most, milliseconds, percentile
from benchmarks.words import VOCABULARY

LEADS = int(os.environ.get("BENCH_LEADS", "100000"))
ROUNDS, WARM_UP = 40, 3
GOAL = 200  # ms
BATCH = 5000
SEED = 6


def run() -> list[Row]:
    with running_platform() as address, new_customer(address) as customer:
        profile = customer.get("/auth/user/me")
        argv = [sys.executable, "-m", "benchmarks.leads", profile["user"]["company_id"], str(LEADS)]
        subprocess.run(argv, env=environment_of(address), cwd=ROOT, check=True)  # our own module
        with closing(_signed_in(address, profile["user"]["email"])) as browser:
            rows = [Row("leads", f"{LEADS:,}")]
            for what, http, path in _requests(customer, browser):
                seconds = [_took(http, path) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
                rows.append(Row(what, milliseconds(seconds)))
                rows.append(at_most(f"{what}, p95", percentile(seconds, 0.95) * 1000, GOAL, "ms"))
    return rows


def _requests(customer: Customer, browser: httpx2.Client) -> list[tuple[str, httpx2.Client, str]]:
    """What it is, whose it is, its path. Each of the words is a name of one lead in fifty."""
    first, last = VOCABULARY[0], VOCABULARY[1]
    found: list[tuple[str, httpx2.Client, str]] = []
    for name, http, path, search in (
        ("API", customer.http, "/lead/company", "search"),
        ("page", browser, "/leads", "q"),
    ):
        found += [
            (f"{name}: list", http, path),
            (f"{name}: list by name", http, f"{path}?sort=name"),
            (f"{name}: list of one status", http, f"{path}?status=qualified"),
            (f"{name}: search, many found", http, f"{path}?{search}={first}"),
            (f"{name}: search, few found", http, f"{path}?{search}={first}%20{last}"),
            (f"{name}: search, none found", http, f"{path}?{search}=zyxw"),
            (f"{name}: search by address", http, f"{path}?{search}=lead-777%40leads.example"),
        ]
    return [*found, ("page: board", browser, "/leads/board")]


def _took(http: httpx2.Client, path: str) -> float:
    started = time.perf_counter()
    answer = http.get(path)
    took = time.perf_counter() - started
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
    return took


def _signed_in(address: str, email: str) -> httpx2.Client:
    browser = httpx2.Client(base_url=address, timeout=60)
    browser.get("/login").raise_for_status()
    form = {"email": email, "password": PASSWORD, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    answer = browser.post("/login", data=form, headers={"Referer": f"{address}/login"})
    if answer.status_code != 302:
        raise RuntimeError(f"Nobody was signed in: {answer.status_code} {answer.text[:300]}")
    return browser


def _fill(company_id: uuid.UUID, count: int) -> None:
    import django  # this process has its settings from the platform

    django.setup()
    from django.db import connection
    from django.utils import timezone
    from django_tenants.utils import tenant_context

    from agents.models import Agent
    from leads.enums import LeadStatus
    from leads.models import Lead
    from tenants.models import Company

    dice, now = random.Random(SEED), timezone.now()
    names, statuses = VOCABULARY[:100], [status.value for status in LeadStatus]
    with tenant_context(Company.objects.get(pk=company_id)):
        agent = Agent.objects.get()
        for start in range(0, count, BATCH):
            leads = []
            for number in range(start, min(start + BATCH, count)):
                seen = now - timedelta(seconds=dice.randrange(365 * 86400))
                leads.append(
                    Lead(
                        agent=agent, first_name=dice.choice(names), last_name=dice.choice(names),
                        email=f"lead-{number}@leads.example", phone=f"+49 30 {dice.randrange(10**7):07}",
                        status=dice.choice(statuses), tags=[dice.choice(names)], last_activity=seen, created_at=seen,
                    )
                )  # fmt: skip
            Lead.objects.bulk_create(leads)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE leads_lead")  # as PostgreSQL does by itself a minute later


if __name__ == "__main__":
    _fill(uuid.UUID(sys.argv[1]), int(sys.argv[2]))
