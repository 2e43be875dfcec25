"""Two doors: ``/api/v1/`` for programs, the rest for people."""

from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("vouch.api.urls")),
    path("", include("vouch.web.urls")),
]
