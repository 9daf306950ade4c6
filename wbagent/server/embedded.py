"""What everybody is told of a server that runs its own MySQL and object store."""

from __future__ import annotations

from typing import Final

NOT_FOR_PRODUCTION: Final = (
    "EMBEDDED, for trials, not for production: database and objects share the container's volume, and the objects are"
    " NOT in the backup"
)
