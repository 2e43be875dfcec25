"""Makes and judges the engine's starter voice base."""
