"""Three doors: ``/api/v1/`` for programs, two addresses in the shape of other services, the rest for people."""

from django.urls import include, path

from vouch.api.compat import gptsovits, openai

urlpatterns = [
    path("api/v1/", include("vouch.api.urls")),
    *openai.urlpatterns,
    *gptsovits.urlpatterns,
    path("", include("vouch.web.urls")),
    path("", include("vouch.web.allauth_urls")),
]
handler429 = "vouch.web.accounts.stopped"
