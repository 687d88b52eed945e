"""Documents into training data: clean, deduplicate, split, pack into token shards."""
