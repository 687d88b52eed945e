"""One file per kind of artifact: its schema, its reader and its writer."""
