"""Train a tokenizer, expand a vocabulary, initialise its embeddings, measure fertility."""
