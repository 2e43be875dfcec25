"""Pages are sent compressed; nothing else here is.

Sound is compressed already and is asked for in ranges; streams of events must not wait for a block to fill; static
files were compressed when they were collected. Django pads what it compresses by a random length and masks the token of
a form anew each time, so lengths tell nothing of either (BREACH).
"""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressedPages(GZipMiddleware):
    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.streaming or not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)
