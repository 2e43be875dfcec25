"""How much of the mark is left after what happens to recordings, how loud it is, and how fast: measured."""
