"""From ratios to budgets to documents: exact arithmetic over sizes, then whole documents chosen by hash."""
