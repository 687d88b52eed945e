"""Tasks, metrics and scores."""
