from knowrithm.errors import ConflictError


class WebhookOffError(ConflictError):
    code = "WEBHOOK_OFF"
