"""The tiny model and a way to run a stage on it."""

from tiny_model import artifact, loaded, make_tiny, one_loads_at_a_time, other, run_stage, tiny  # noqa: F401
