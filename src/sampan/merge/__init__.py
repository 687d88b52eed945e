"""One streaming plan; methods are pure functions."""
