"""Environments of one version of a framework, beside those of the usual requirements."""

from __future__ import annotations

import re
from dataclasses import replace

from epochmark.engines import EngineInfo, Requirements
from epochmark.engines._shared.requirements import KERAS
from epochmark.environments.managed import Environment, Environments
from epochmark.environments.requirements import (
    Platform,
    choose_row,
    environment_name,
    fitting_rows,
)

_NAME = re.compile(r"[A-Za-z0-9._-]+(\[[^\]]*\])?")
_PINNED = re.compile(rf"{_NAME.pattern}==(?P<version>[0-9.]+)\.\*")


def row_of_version(info: EngineInfo, version: str, machine: Platform | None = None) -> Requirements:
    """The requirements of an engine on a machine, by default this one, with ``version`` of its
    framework, the package that its row names first: ``2.12`` is any 2.12.x. Keras comes along only
    where it trains.

    Raises ``EpochmarkError`` (exit code 2) where the engine has no packages for the machine.
    """
    row = choose_row(info, machine or Platform.here(), None)
    found = _NAME.match(row.pip[0])
    assert found is not None, row.pip
    others = [
        requirement
        for requirement in row.pip[1:]
        if requirement != KERAS or "keras" in info.modules
    ]
    return replace(row, pip=(f"{found[0]}=={version}.*", *others), tested="")


def versions_made(
    environments: Environments, info: EngineInfo, machine: Platform | None = None
) -> dict[str, Environment]:
    """The versions of an engine's framework that have an environment of their own on a machine, by
    default this one; none where the engine has no packages for it."""
    machine = machine or Platform.here()
    if all(row.on_request for row in fitting_rows(info, machine)):
        return {}
    found = {}
    for environment in environments.all():
        requirements = environment.manifest.requirements
        pinned = _PINNED.fullmatch(requirements[0]) if requirements else None
        if pinned is not None:
            version = pinned["version"]
            made = environment_name(row_of_version(info, version, machine))
            if environment.manifest.name == made:
                found[version] = environment
    return found
