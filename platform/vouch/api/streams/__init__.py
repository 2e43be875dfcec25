"""Speech that is heard while it is made: one chunked answer, or a WebSocket. Behind both: `cloning.listening`."""
