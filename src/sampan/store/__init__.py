"""Objects by digest, names that point at them, locks and atomic publishing."""
