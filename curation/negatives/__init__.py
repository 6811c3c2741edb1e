"""Wrong answers by rule: of the kind and form of the right one, grammatical, and surely wrong."""
