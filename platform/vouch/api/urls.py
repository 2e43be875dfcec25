"""``/api/v1/``: one module per room, the schema, and a page that shows it."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from vouch.api import cloning, consent, custody, identity, log, marketplace, safety

urlpatterns = [
    *identity.urlpatterns,
    *consent.urlpatterns,
    *custody.urlpatterns,
    *cloning.urlpatterns,
    *safety.urlpatterns,
    *marketplace.urlpatterns,
    *log.urlpatterns,
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
