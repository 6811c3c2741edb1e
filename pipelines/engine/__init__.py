"""How a step runs: shards in, one table out; what is done is not done again."""
