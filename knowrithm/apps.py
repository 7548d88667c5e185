from django.apps import AppConfig


class KnowrithmConfig(AppConfig):
    name = "knowrithm"

    def ready(self) -> None:
        from knowrithm import celery  # noqa: F401  # makes ours the app that shared tasks belong to
