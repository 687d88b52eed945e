"""The village: a small invented world told in eleven languages, on which the whole pipeline is shown in minutes."""
