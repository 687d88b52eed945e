"""Where the shared data lie: in $SAMPAN_SHARED, or in the folder `shared` beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(os.environ.get("SAMPAN_SHARED", Path(__file__).resolve().parents[2] / "shared"))
PEERS_PYTHON = Path(os.environ.get("SAMPAN_PEERS_PYTHON", ".venv-peers/bin/python"))
"""Python of the peers' environment, which `make bench-env` makes."""
