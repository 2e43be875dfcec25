"""The project's own small voice base: how it is made from synthesised speech, and its weights."""
