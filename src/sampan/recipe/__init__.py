"""Load, resolve, plan, run, explain and report a whole lineage."""
