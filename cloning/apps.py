from django.apps import AppConfig


class CloningConfig(AppConfig):
    name = "cloning"
    label = "cloning"
    default_auto_field = "django.db.models.BigAutoField"
