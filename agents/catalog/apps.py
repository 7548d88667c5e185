from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "agents.catalog"
    label = "catalog"
    verbose_name = "Model catalogue"
