"""Files that pages name by what is in them, so that a browser may keep them for good; compressed when collected."""

from typing import Any, Final

from whitenoise.storage import CompressedManifestStaticFilesStorage

FOREIGN: Final = ("drf_spectacular_sidecar/",)
"""Kept as it came: its files name maps that it does not bring."""


class Collected(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Names with a digest (``api.1a2b3c.js``), in pages and between modules. Where nothing was collected, as in tests,
    the plain ones: the plain files are there in any case, for pages of others that embed the player."""

    support_js_module_import_aggregation = True
    manifest_strict = False

    def post_process(self, paths: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        own = {name: found for name, found in paths.items() if not name.startswith(FOREIGN)}
        return super().post_process(own, *args, **kwargs)

    def stored_name(self, name: str) -> str:
        return str(super().stored_name(name)) if name in self.hashed_files else name
