"""What the API's schema says of an endpoint: its own words, never those of the class it is built on."""


def not_described() -> list[type]:
    """Classes whose docstrings are notes for engineers: drf-spectacular's own list, and ``ApiView``."""
    # Imported when asked: the schema library reads this name while it is itself being imported.
    from drf_spectacular.plumbing import get_lib_doc_excludes

    from vouch.api.core.views import ApiView

    return [*get_lib_doc_excludes(), ApiView]
