from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "analytics.usage"
    label = "usage"
    verbose_name = "API usage"
