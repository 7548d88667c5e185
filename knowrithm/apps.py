from django.apps import AppConfig

from knowrithm import garbage


class KnowrithmConfig(AppConfig):
    name = "knowrithm"

    def ready(self) -> None:
        from knowrithm import celery  # noqa: F401  # makes ours the app that shared tasks belong to

        garbage.search_as_usual()
