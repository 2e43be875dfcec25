"""Three doors: ``/api/v1/`` for programs, two addresses in the shape of other services, the rest for people."""

from django.urls import include, path

from vouch.api.compat import gptsovits, gptsovits_control, openai, openai_lists

urlpatterns = [
    path("api/v1/", include("vouch.api.urls")),
    *openai.urlpatterns,
    *openai_lists.urlpatterns,  # ends with whatever else begins like OpenAI's addresses
    *gptsovits.urlpatterns,
    *gptsovits_control.urlpatterns,
    path("", include("vouch.web.urls")),
    path("", include("vouch.web.allauth_urls")),
]
handler429 = "vouch.web.accounts.stopped"
