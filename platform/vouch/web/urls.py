"""The console's addresses."""

from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.i18n import JavaScriptCatalog, set_language

from vouch.web import accounts, batches, deskviews, factors, licensing, money, views

app_name = "web"
urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in", accounts.SignInView.as_view(), name="sign-in"),
    path("sign-up", accounts.SignUpView.as_view(), name="sign-up"),
    path("sign-out", accounts.SignOutView.as_view(), name="sign-out"),
    path("consent", views.consent, name="consent"),
    path("consents", views.consents, name="consents"),
    path("protect", views.protect, name="protect"),
    path("reviews", views.reviews, name="reviews"),
    path("desk/reviews/<uuid:review_id>", views.review, name="review"),
    path("voices/<uuid:voice_id>", views.voice, name="voice"),
    path("me", views.me, name="me"),
    path("me/sessions/<str:which>/end", factors.end_session, name="session-end"),
    path("recordings", views.recordings, name="recordings"),
    path("voices/<uuid:voice_id>/batch", batches.batch, name="batch"),
    path("trace", views.trace, name="trace"),
    path("log", views.log, name="log"),
    path("retention", views.retention, name="retention"),
    path("custody", views.custody, name="custody"),
    path("desk", deskviews.desk_home, name="desk"),
    path("desk/traces/<uuid:trace_id>", views.traced, name="traced"),
    path("desk/<uuid:case_id>", deskviews.case, name="case"),
    path("desk/checks/<uuid:check_id>", deskviews.check, name="check"),
    path("desk/archive", deskviews.archive, name="archive"),
    path("desk/figures", deskviews.figures, name="figures"),
    path("desk/appeals", deskviews.appeal_queue, name="appeals"),
    path("desk/appeals/<uuid:appeal_id>", deskviews.appeal, name="appeal"),
    path("desk/notices", deskviews.notice_queue, name="notices"),
    path("notice", deskviews.new_notice, name="notice"),
    path("report", deskviews.report, name="report"),
    path("reasons", deskviews.reasons_page, name="reasons"),
    path("second-factor", factors.FactorsView.as_view(), name="second-factor"),
    path("earnings", money.earnings, name="earnings"),
    path("orders", money.orders, name="orders"),
    path("membership", money.membership, name="membership"),
    path("orders/<uuid:order_id>/invoice", money.invoice, name="invoice"),
    path("market", licensing.shop, name="market"),
    path("market/offers", licensing.my_offers, name="offers"),
    path("licences/<uuid:licence_id>", licensing.licence, name="licence"),
    path("strings.js", never_cache(JavaScriptCatalog.as_view(packages=["vouch.web"])), name="strings"),
    path("language", set_language, name="language"),
]
