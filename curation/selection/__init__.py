"""What of the clean samples stays: near hashes found among millions, near-duplicate stars, quotas and shares."""
