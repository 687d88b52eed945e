"""Models in the shapes other tools read: Hugging Face, GGUF."""
