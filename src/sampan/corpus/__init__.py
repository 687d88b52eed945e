"""Documents in, better Documents out: clean, deduplicate, split, pack; and the village generator."""
