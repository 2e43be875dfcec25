from django.apps import AppConfig


class WatermarkConfig(AppConfig):
    name = "watermark"
    default_auto_field = "django.db.models.BigAutoField"
