"""AMD's GPUs: is the kernel's door to computing there, and may this user open it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts
from epochmark.hardware.gpus.amd import served

_DEVICES = "--device /dev/kfd --device /dev/dri"

_START = {
    "Docker": f"docker run {_DEVICES} --group-add video ...",
    "Podman": f"podman run {_DEVICES} --group-add keep-groups ...",
    "Apptainer": "apptainer run --rocm ...",
    "Kubernetes": "ask for it in the pod: resources: {limits: {amd.com/gpu: 1}}",
}
"""How containers get an AMD GPU."""

_START_ANYWHERE = "start the container again with the devices /dev/kfd and /dev/dri"


def examine(facts: Facts) -> Iterator[Line]:
    """One line a GPU, or one for what keeps it from being used."""
    if facts.wsl is not None or not (facts.cards_of("AMD") or facts.kfd.there):
        return
    if not facts.kfd.there:
        yield _without_kfd(facts)
    elif facts.kfd.closed:
        yield _closed(facts)
    elif facts.rocm is not None and facts.rocm.state not in ("works", "silent"):
        yield _rocm_trouble(facts)
    else:
        yield from _gpus(facts)
        yield from _hidden(facts)


def _without_kfd(facts: Facts) -> Line:
    held = {card.driver for card in facts.cards_of("AMD")}
    if held == {"vfio-pci"}:
        return note("the AMD GPU is reserved for virtual machines (vfio-pci)")
    if held == {None}:
        return fault("an AMD GPU without a driver", "sudo modprobe amdgpu")
    if facts.container is not None:
        return fault(
            "an AMD GPU is in this machine, but not in this container",
            _START.get(facts.container, _START_ANYWHERE),
        )
    return note(
        "an AMD GPU whose driver does not support computing (no /dev/kfd): it is too old for "
        "ROCm, or the "
        "kernel was built without it"
    )


def _closed(facts: Facts) -> Line:
    """Device files that may not be opened: mostly a group is missing."""
    files = ", ".join(file for file, _ in facts.kfd.closed)
    groups = [*dict.fromkeys(group for _, group in facts.kfd.closed)]
    named = " and ".join(groups)
    if facts.container is not None:
        return fault(
            f"this container may not open {files}",
            _START.get(facts.container, _START_ANYWHERE),
        )
    user = facts.variables.get("USER") or facts.variables.get("LOGNAME") or "$USER"
    return fault(
        f"you may not open {files}: it needs the group{'s' if len(groups) > 1 else ''} {named}",
        f"sudo usermod -a -G {','.join(groups)} {user}    (then log out and in again)",
    )


def _rocm_trouble(facts: Facts) -> Line:
    assert facts.rocm is not None
    said = f" ({facts.rocm.said})" if facts.rocm.said else ""
    if "Permission denied" in facts.rocm.said or "not permitted" in facts.rocm.said:
        return _closed(replace(facts, kfd=replace(facts.kfd, closed=(("/dev/kfd", "render"),))))
    if facts.rocm.state == "closed" and "Invalid argument" in facts.rocm.said:
        return fault(
            f"ROCm and the kernel's amdgpu driver do not match{said}",
            "update the kernel or install the amdgpu driver of the same ROCm release",
        )
    if facts.rocm.state == "not loaded":
        return fault("the kernel has not loaded the driver of the AMD GPU", "sudo modprobe amdgpu")
    if facts.rocm.state == "no GPU":
        return fault(
            "ROCm lists no GPU, only processors",
            "sudo dmesg | grep kfd    says why; ROCm skips a card that it does not know",
        )
    return fault(
        f"ROCm does not work{said}",
        "sudo dmesg | grep kfd    says which GPU it does not support",
    )


def _gpus(facts: Facts) -> Iterator[Line]:
    names = dict(facts.rocm.gpus) if facts.rocm is not None else {}
    targets = facts.kfd.targets or tuple(names)
    if not targets:
        yield note("the kernel supports computing on AMD GPUs (/dev/kfd) but lists none")
    for target in targets:
        name = names.get(target) or "AMD GPU"
        if served([target]):
            yield ok(f"{name}, {target}; kernel driver amdgpu")
        else:
            yield note(
                f"{name}, {target}: PyTorch's builds for ROCm are not made for it",
                "HSA_OVERRIDE_GFX_VERSION names a target of the same family, at your own risk",
            )


def _hidden(facts: Facts) -> Iterator[Line]:
    for variable in ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        value = facts.variables.get(variable)
        if value is not None and value.strip() in ("", "-1"):
            yield note(
                f"{variable}={value} hides every AMD GPU from frameworks", f"unset {variable}"
            )


CHECK = Check(
    name="AMD",
    looks_at="cards on the bus, `/dev/kfd` and `/dev/dri`, kfd's topology, rocminfo, variables",
    notes="a GPU that ROCm, or PyTorch's build for it, does not know; one reserved "
    "for virtual machines; one that a variable hides",
    faults="a GPU without a driver; device files that this user may not open; a container "
    "without them; ROCm that does not work or does not match the driver",
    examine=examine,
)
