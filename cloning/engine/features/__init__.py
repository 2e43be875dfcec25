"""From sound to numbers: spectrograms, content frames, and the care of raw audio."""
