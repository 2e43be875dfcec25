"""A minute of somebody's speech to a voice: preparation, the two training stages, and the loop they share."""
