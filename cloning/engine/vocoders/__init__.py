"""From mels to sound: the vocoders of v3 and v4, and band extension, all read from a mounted folder."""
