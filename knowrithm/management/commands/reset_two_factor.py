from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from knowrithm.errors import ServiceError
from tenants.models import User
from tenants.services import reset_two_factor


class Command(BaseCommand):
    help = "Take the second factor of a person away who has lost it, such as the only super admin."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"]).first()
        if user is None:
            raise CommandError("There is nobody with this e-mail address.")
        try:
            reset_two_factor(actor=None, user_id=user.pk)
        except ServiceError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"The second factor of {user.email} is gone. The next sign-in asks for the password alone.")
