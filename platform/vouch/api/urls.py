"""``/api/v1/``: one module per room, the schema, and a page that shows it."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from vouch.api import (
    ceremony,
    cloning,
    consent,
    custody,
    desk,
    identity,
    ledger,
    licensing,
    listings,
    log,
    marketplace,
    payments,
    provenance,
    redress,
    reviews,
    safety,
    showcase,
    statements,
    stepup,
    tracing,
    webhooks,
)

urlpatterns = [
    *identity.urlpatterns,
    *ceremony.urlpatterns,
    *consent.urlpatterns,
    *licensing.urlpatterns,
    *reviews.urlpatterns,
    *custody.urlpatterns,
    *cloning.urlpatterns,
    *tracing.urlpatterns,
    *safety.urlpatterns,
    *desk.urlpatterns,
    *redress.urlpatterns,
    *stepup.urlpatterns,
    *listings.urlpatterns,
    *showcase.urlpatterns,
    *marketplace.urlpatterns,
    *provenance.urlpatterns,
    *ledger.urlpatterns,
    *webhooks.urlpatterns,
    *payments.urlpatterns,
    *statements.urlpatterns,
    *log.urlpatterns,
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
