"""PlaidML, quiet, with devices that remember the id they were opened with."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

SETTINGS = "PLAIDML_SETTINGS"

with tempfile.TemporaryDirectory(prefix="epochmark-plaidml-") as folder:
    # away from ~/.plaidml, where plaidml-setup leaves a device and switches, and without which
    # PlaidML says that it is not configured
    settings = Path(folder) / "settings.json"
    settings.write_text("{}")
    os.environ.setdefault(SETTINGS, str(settings))
    import plaidml

plaidml.quiet()


class RememberingDevice(plaidml.Device):  # type: ignore[misc]
    id = ""

    def __init__(self, context: Any, config: Any) -> None:
        super().__init__(context, config)
        self.id = config.id.decode()


plaidml.Device = RememberingDevice

__all__ = ["plaidml"]
