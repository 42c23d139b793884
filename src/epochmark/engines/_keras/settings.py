"""What a user's keras.json changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Dict

KERAS_DEFAULTS = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "nnx_enabled": False,
}
"""What Keras takes where no keras.json says otherwise, of all it looks for there."""


def keras_json() -> Dict[str, str]:
    """What the user's keras.json sets otherwise than Keras does without it; the back end is ours to
    choose, whatever it says."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    try:
        text = (Path(home).expanduser() / "keras.json").read_text("utf-8")
        said = json.loads(text)
    except (OSError, RuntimeError, ValueError):  # Keras passes over what it cannot read
        return {}
    if not isinstance(said, dict):
        return {"keras.json": "not a list of settings"}
    others = [
        f"{name} {str(said[name])[:40]}"
        for name, value in KERAS_DEFAULTS.items()
        if name in said and (said[name] != value or type(said[name]) is not type(value))
    ]
    return {"keras.json": ", ".join(others)} if others else {}
