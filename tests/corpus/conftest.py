"""A way to run a stage on plain files."""

from plain_stage import run_stage  # noqa: F401
