"""Doors in the shape of other services, so that their clients work here with another address and a key.

Everything behind them is the same: the gate, the licence, the mark, the label, the log. What such a client cannot say
has the voice's own value; what it says and we do not do is named in the answer's header ``X-Vouch-Ignored``.
"""
