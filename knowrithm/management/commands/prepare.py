from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from agents.catalog.seed import seed_catalogue
from conversations.demo import create_demo
from knowrithm.principal import Role
from tenants.geography.seed import seed_geography
from tenants.models import User
from tenants.provisioning import prepare_template
from tenants.services import ensure_super_admin

# Task and period in seconds. Each fans out to the companies where it concerns them.
SCHEDULE = {
    "knowrithm.worker_beat": 15,
    "conversations.resume_abandoned_everywhere": 15,
    "conversations.alert_unanswered_everywhere": 30,
    "conversations.score_leads_everywhere": 300,
    "conversations.learn_scores_everywhere": 24 * 3600,
    "documents.resume_stalled_everywhere": 15,
    "documents.crawl_due_everywhere": 60,
    "documents.purge_indexes_everywhere": 3600,
    "documents.tend_indexes_everywhere": 600,
    "documents.purge_old_everywhere": 24 * 3600,
    "leads.apply_encryption_everywhere": 300,
    "leads.purge_imports_everywhere": 3600,
    "integrations.deliver_due_everywhere": 15,
    "integrations.purge_deliveries_everywhere": 3600,
    "notifications.mail_due_everywhere": 300,
    "tenants.resume_purges": 60,
    "tenants.end_impersonations": 60,
    "usage.store": 30,
    "usage.purge": 6 * 3600,
    "analytics.collect_everywhere": 300,
    "analytics.roll_up_everywhere": 3600,
    "audit.prune_everywhere": 24 * 3600,
}
LOCK = 0x6B6E6F77  # one process prepares at a time, whoever else starts meanwhile waits


class Command(BaseCommand):
    help = "Bring an installation up to date: migrations, template schema, catalogue, schedule, super admin, demo."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--no-demo", action="store_true", help="Do not make the demo company.")

    def handle(self, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            self._prepare(with_demo=not options["no_demo"])
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])

    def _prepare(self, *, with_demo: bool) -> None:
        self.stdout.write("The shared tables …")
        call_command("migrate_schemas", shared=True, interactive=False, verbosity=0)
        self.stdout.write("The companies' tables …")
        # The template first: who signs up while the companies are migrated gets a schema that needs nothing more.
        prepare_template()
        call_command("migrate_schemas", tenant=True, interactive=False, verbosity=0)
        self.stdout.write("Catalogue, countries and static files …")
        seed_catalogue()
        seed_geography()
        self._schedule()
        if not settings.DEBUG:
            call_command("collectstatic", interactive=False, verbosity=0)
        self._super_admin()
        if with_demo:
            self.stdout.write("The demo company …")
            create_demo()
        self.stdout.write("Ready.")

    def _schedule(self) -> None:
        for task, seconds in SCHEDULE.items():
            interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
            PeriodicTask.objects.update_or_create(
                name=task, defaults={"task": task, "interval": interval, "expire_seconds": seconds - 1}
            )

    def _super_admin(self) -> None:
        if User.objects.filter(role=Role.SUPER_ADMIN).exists():
            return
        password = settings.SUPER_ADMIN_PASSWORD or secrets.token_urlsafe(12)
        ensure_super_admin(email=settings.SUPER_ADMIN_EMAIL, password=password)
        if not settings.SUPER_ADMIN_PASSWORD:
            self.stdout.write(f"Super admin {settings.SUPER_ADMIN_EMAIL}, password {password} (shown this once)")
