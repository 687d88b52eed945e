"""From outside into artifacts: tables, instruction data and web archives."""
