from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = "Companies and people"

    def ready(self) -> None:
        from tenants import receivers  # noqa: F401  # connects them
