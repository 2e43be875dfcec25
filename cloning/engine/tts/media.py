"""What upstream's `/tts` offers as formats, and their names on the wire. `encode` writes them."""

MEDIA_TYPES = {"wav": "audio/wav", "raw": "audio/pcm", "ogg": "audio/ogg", "aac": "audio/aac"}
