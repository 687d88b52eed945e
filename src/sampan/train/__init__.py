"""One loop; objectives are pure functions."""
