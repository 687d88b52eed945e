"""Identity, parameters, registries and errors: what every other room stands on (stdlib and pydantic only)."""
