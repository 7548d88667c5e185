from django.apps import AppConfig


class GeographyConfig(AppConfig):
    name = "tenants.geography"
    label = "geography"
    verbose_name = "Geography and addresses"
