"""Power and heat: is the machine held back before anything runs?"""

from __future__ import annotations

import os
from collections.abc import Iterator

from epochmark.doctor.contract import Check, Line, note, ok
from epochmark.doctor.facts import Facts
from epochmark.hardware.machine import power_of
from epochmark.hardware.sensors import ABSENT, Sensor, UnreadableError, all_sensors

_SLOW_MODES = ("low-power", "low power", "quiet", "cool")
"""Power modes of Linux's platform_profile and of macOS that trade speed for something else."""

_SLOW_GOVERNORS = ("powersave", "conservative")
_SCALES_BY_ITSELF = ("intel_pstate", "amd-pstate-epp")
"""Drivers whose governor `powersave` is the ordinary one (Linux, admin-guide/pm)."""

HOT_C = 85.0
"""A processor at rest is far below; most slow down from 95 to 105."""

_UNSEEN = ("nvidia-gpu",)
"""Sensors that are only read where their driver is known to answer."""

_OF_INTEREST = ("temperature", "throttle_level")


def examine(facts: Facts) -> Iterator[Line]:
    """Mains, power mode, governor, then heat."""
    power = power_of(facts.root)
    yield from power_lines(power.source, power.mode, facts.system)
    yield from governor_lines(power.governor, power.driver)
    for name, open_sensor in all_sensors(facts.root).items():
        if name in _UNSEEN and facts.nvidia.state != "works":
            continue
        try:
            sensor = open_sensor(os.getpid())
        except UnreadableError as error:
            yield note(f"{name} cannot be read: {error}", _REMEDIES.get(name))
            continue
        if sensor is not ABSENT:
            yield from _heat(name, sensor)


_REMEDIES = {
    "package-energy": "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj    (until reboot)",
}


def power_lines(source: str | None, mode: str | None, system: str) -> Iterator[Line]:
    """Battery, and the chosen power mode."""
    if source == "battery":
        yield note("on battery, where most laptops limit their power", "plug in the power supply")
    elif source is not None:
        yield ok(f"on {source}")
    if mode in _SLOW_MODES:
        is_mac = system == "Darwin"
        yield note(
            f"the power mode is '{mode}'",
            "sudo pmset -a lowpowermode 0" if is_mac else "powerprofilesctl set performance",
        )
    elif mode is not None:
        yield ok(f"power mode {mode}")


def governor_lines(governor: str | None, driver: str | None) -> Iterator[Line]:
    """A governor that keeps the clock low."""
    if governor is None:
        return
    if governor in _SLOW_GOVERNORS and driver not in _SCALES_BY_ITSELF:
        yield note(
            f"the CPU governor '{governor}' keeps the clock low",
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        )
    else:
        yield ok(f"CPU governor {governor}" + (f" ({driver})" if driver else ""))


def _heat(name: str, sensor: Sensor) -> Iterator[Line]:
    """One reading of a sensor with channels that measure heat."""
    try:
        is_wanted = any(channel.quantity in _OF_INTEREST for channel in sensor.channels)
        values = sensor.read() if is_wanted else []
    except Exception as error:  # a driver or library may raise anything
        yield note(f"{name} cannot be read: {error}")
        return
    finally:
        sensor.close()
    for channel, value in zip(sensor.channels, values, strict=False):
        if value is not None and channel.quantity in _OF_INTEREST:
            yield heat_line(channel.quantity, channel.scope, value)


def heat_line(quantity: str, scope: str, value: float) -> Line:
    """A temperature in degrees Celsius, or a level of throttling."""
    if quantity == "temperature":
        text = f"{scope} at {value:.0f} °C"
        if value < HOT_C:
            return ok(text)
        return note(f"{text} before anything runs", "let it cool down; clean fans and filters")
    if value > 0:
        return note(f"{scope} is slowed down by heat now", "let it cool down")
    return ok(f"{scope} is not slowed down by heat")


CHECK = Check(
    name="power",
    looks_at="mains or battery, power mode, CPU governor, temperatures and throttling now",
    notes="battery; a mode or governor that keeps the clock low; heat; sensors not to be read",
    faults="none: a slow machine works",
    examine=examine,
)
