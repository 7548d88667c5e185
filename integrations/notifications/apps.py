from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "integrations.notifications"

    def ready(self) -> None:
        from integrations.notifications import receivers  # noqa: F401  # connects them; models must be loaded first
