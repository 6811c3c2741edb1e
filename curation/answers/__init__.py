"""What an answer says: its kind, its options, its final value, amounts and moments, and whether two answers say the same."""
