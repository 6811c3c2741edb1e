"""The nouns: records and their Arrow schemas, the recipe, the snapshot."""
