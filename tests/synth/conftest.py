"""The tiny model and a way to run a stage on it."""

from tiny_model import artifact, loaded, make_tiny, other, run_stage, tiny  # noqa: F401
