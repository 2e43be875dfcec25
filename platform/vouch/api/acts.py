"""Through which session or key the caller acts: what a record keeps of it is a salted hash (`consent.acts`)."""

from rest_framework.request import Request

from consent.acts import KEY, SESSION, Act
from foundation.errors import NotSignedIn


def act_of(request: Request) -> Act:
    """The act behind an authenticated request. Raises NotSignedIn."""
    header = request.headers.get("Authorization", "")
    if header:
        return Act(KEY, header.partition(" ")[2].strip())
    session = request._request.session.session_key
    if not session:
        raise NotSignedIn
    return Act(SESSION, session, getattr(request.user, "last_login", None))
