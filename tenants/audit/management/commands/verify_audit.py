from __future__ import annotations

import sys
import uuid
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.audit.chain import verify_log
from tenants.audit.services import log_of, reseal_log
from tenants.models import Company


def _company_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ArgumentTypeError("The id of a company is a UUID.") from None


class Command(BaseCommand):
    help = "Check the chain of every audit log: one line a log, and exit code 1 when one of them has a fault."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--company", type=_company_id, metavar="ID", help="Check this company's log only.")
        parser.add_argument(
            "--reseal", action="store_true", help="After you have looked into a fault: seal the log's end anew."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        companies: list[Company | None] = list(Company.objects.filter(is_ready=True).order_by("created_at"))
        if options["company"]:
            companies = [company for company in companies if company and company.id == options["company"]]
            if not companies:
                raise CommandError("There is no such company.")
        else:
            companies.insert(0, None)
        if options["reseal"]:
            self._reseal(companies, is_one=bool(options["company"]))
        faults = [company for company in companies if not self._check(company)]
        if faults:
            sys.exit(1)

    def _reseal(self, companies: list[Company | None], *, is_one: bool) -> None:
        for company in companies if is_one else [None]:  # never all at once
            with log_of(company):
                reseal_log(actor=None)

    def _check(self, company: Company | None) -> bool:
        name = f"{company.id} {company.name}" if company else "platform"
        with log_of(company):
            verdict = verify_log()
        if verdict.fault is not None:
            self.stdout.write(f"FAULT {name}: position {verdict.fault.position}: {verdict.fault.reason}")
            return False
        end = f", ends with {verdict.digest[:16]}" if verdict.digest else ""
        self.stdout.write(f"OK {name}: {verdict.rows} rows up to position {verdict.position}{end}")
        return True
