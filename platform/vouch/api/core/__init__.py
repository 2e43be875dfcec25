"""What every endpoint shares: who is asking, what they may do, one error shape, bounded bodies, idempotency."""

from vouch.api.core.bodies import read_body, stream_body
from vouch.api.core.views import ANONYMOUS, ApiView, checked

__all__ = ["ANONYMOUS", "ApiView", "checked", "read_body", "stream_body"]
