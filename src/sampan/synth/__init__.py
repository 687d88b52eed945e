"""Make and vet instruction and preference data."""
