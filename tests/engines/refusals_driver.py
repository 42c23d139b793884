"""Run by an engine's interpreter: what it says to requests that cannot be met here.

    python refusals_driver.py ENGINE {"device": ..., "precision": ...}...

Prints as JSON the message of each refusal, None for a request that was not refused.
"""

from __future__ import annotations

import json
import sys
from typing import Optional

from epochmark.engines import Settings, UnavailableError, get_engine
from epochmark.workloads import MNIST_CNN


def main(name: str, *requests: str) -> None:
    print(json.dumps([refusal(name, **json.loads(request)) for request in requests]))


def refusal(name: str, device: str = "cpu", precision: str = "stock") -> Optional[str]:
    asked = Settings(MNIST_CNN, device, precision, "stock", seed=1, epochs=1, batch_size=128)
    try:
        get_engine(name).open(asked)
    except UnavailableError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
