"""Causal language models on disk and in memory: make, import, load, save, chat, generate."""
