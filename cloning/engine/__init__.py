"""GPT-SoVITS in plain torch: text to semantic codes (S1), codes to sound (S2). Knows no Django and no database."""
