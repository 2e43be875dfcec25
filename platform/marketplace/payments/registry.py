"""Which provider this deployment has."""

from django.conf import settings

from marketplace.payments.embedded import EmbeddedProvider
from marketplace.payments.errors import PaymentsOff
from marketplace.payments.provider import Provider


def provider(name: str = "") -> Provider:
    """The configured provider; with a name, only if it is that one. Raises PaymentsOff."""
    configured = settings.VOUCH_PAYMENTS
    if configured == "off" or name not in ("", configured):
        raise PaymentsOff
    if configured == "test":
        return embedded()
    from marketplace.payments.stripe_adapter import StripeProvider

    return StripeProvider(settings.VOUCH_STRIPE_KEY, settings.VOUCH_STRIPE_WEBHOOK_SECRET)


def embedded() -> EmbeddedProvider:
    """The test provider, whose secret hangs on a key of this deployment. Raises PaymentsOff where it is not in use."""
    if settings.VOUCH_PAYMENTS != "test":
        raise PaymentsOff
    return EmbeddedProvider(settings.SECRET_KEY)
