"""Text to speech as a service: one request object, a pool of voices, streams."""
