"""What is known of an engine before its framework is imported: devices, settings, variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Mapping, Optional

from epochmark.engines._shared.builds import Build
from epochmark.engines._shared.parallel import Parallel
from epochmark.engines._shared.requirements import Requirements
from epochmark.workloads import Workload
from epochmark.workloads.spec import words_of

AdamForm = Literal["epsilon_hat", "algorithm_1"]

IMAGE_WORDS = ("Images", "Conv2D", "MaxPool2D", "Flatten", "Dense", "relu", "softmax", "Adam")
TOKEN_WORDS = (
    "Tokens", "Embed", "Positions", "LayerNorm", "CausalAttention", "Residual", "TiedHead",
    "gelu_tanh",
)  # fmt: skip
ALL_WORDS = (*IMAGE_WORDS, *TOKEN_WORDS)
"""Of ``workloads.spec.words_of``."""


@dataclass(frozen=True)
class Tunable:
    """A setting that tuned mode may change without changing the mathematics.

    ``values``: the first is what stock does; the search tries the others in this order.
    ``device_kinds`` are those it makes sense on, none for all; ``word``, if any, is the word of a
    workload (``workloads.spec.words_of``) without which it means nothing. ``summary`` is for
    docs/engines.md. What ``beyond_steps`` gains lies between steps or epochs, where a trial of some
    steps does not see it: it is kept unless it makes steps slower.
    """

    name: str
    values: tuple[str, ...]
    summary: str
    device_kinds: tuple[str, ...] = ()
    word: str = ""
    beyond_steps: bool = False


@dataclass(frozen=True)
class Support:
    """How an engine comes to devices of one kind, as docs/engines.md says it.

    ``kind`` is ``cpu``, ``gpu`` or ``tpu``; ``through`` names packages and back ends, or why it is
    not offered. ``seen`` is what of that this project itself has run.
    """

    kind: str
    through: str
    seen: str = "no"
    offered: bool = True


@dataclass(frozen=True)
class Variables:
    """Variables of the environment that a framework reads; ``JAX_*`` are all that begin so.

    ``places`` choose a device, compiler or library, or how much is printed: the work is the same.
    ``threads`` say how many threads there are and where, ``switches`` whatever else can change the
    work. All of these are recorded whichever engine runs, since frameworks bring each other along;
    ``own`` are such everyday words (``BEAM``) that they count in this engine's runs only.
    ``folders`` hold paths. A worker in an interpreter of ours gets the user's ``places`` and
    ``handed``, and ``fixed``, names and values, whatever the user has set.
    """

    places: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    handed: tuple[str, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()

    @property
    def recorded(self) -> tuple[str, ...]:
        """Those that a record names, whichever engine ran."""
        return (*self.places, *self.threads, *self.switches)


@dataclass(frozen=True)
class EngineInfo:
    """What is known of an engine before its framework is imported.

    ``family`` enters the comparability key. ``adam_form`` is ``epsilon_hat`` (Keras) or
    ``algorithm_1`` (PyTorch, optax, tinygrad, MLX). ``modules`` must be importable for the
    engine to be ready; ``distributions`` are those whose versions the record names.
    ``precisions`` are those that can be asked for, ``limited_precisions`` those of them that it has
    for some workloads only, with the names of these; ``sets_threads`` says whether
    ``Settings.threads`` can; all else is refused before a worker is started. ``tunables`` are what
    tuned mode may change, the most promising first; without any the engine has no tuned mode.
    ``words`` are those of workloads (``workloads.spec.words_of``) that it knows, ``workloads`` the
    names of those it can train where that is less than its words allow (None: all of them).
    ``variables`` are those of the environment that this framework brings (``_shared.variables`` has
    those that several share). ``memory_errors`` are words, in lower case, by which this framework
    says that memory ran out (``judge.validity`` has those of all). ``cuda_packages`` are beginnings
    of names of packages that serve NVIDIA GPUs only (``environments.pip`` has NVIDIA's own).
    ``builds`` are those that its framework comes in; the first that fits what is installed is the
    one. None: its only build finds devices by itself. ``parallel`` is how it trains on several
    devices, None where it does not. A ``hidden`` engine tests the tool, and users cannot choose it.
    """

    name: str
    title: str
    summary: str
    family: str
    adam_form: AdamForm
    devices: tuple[Support, ...]
    modules: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    requirements: tuple[Requirements, ...] = ()
    precisions: tuple[str, ...] = ("stock", "float32")
    limited_precisions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tunables: tuple[Tunable, ...] = ()
    words: tuple[str, ...] = IMAGE_WORDS
    workloads: Optional[tuple[str, ...]] = None
    sets_threads: bool = True
    variables: Variables = Variables()
    memory_errors: tuple[str, ...] = ()
    cuda_packages: tuple[str, ...] = ()
    builds: tuple[Build, ...] = ()
    parallel: Optional[Parallel] = None
    hidden: bool = False

    @property
    def device_kinds(self) -> tuple[str, ...]:
        """Kinds of devices that it trains on, the one that every machine has first."""
        return tuple(support.kind for support in self.devices if support.offered)

    def offers(self, workload: Workload) -> bool:
        """Whether it can train this: it knows all its words, and if it was made for certain
        workloads only, this is one of them."""
        named = self.workloads is None or workload.name in self.workloads
        return named and words_of(workload) <= set(self.words)

    def precisions_of(self, workload: Workload) -> tuple[str, ...]:
        """Those of ``precisions`` that it trains this workload in."""
        limited = dict(self.limited_precisions)
        return tuple(
            precision
            for precision in self.precisions
            if workload.name in limited.get(precision, (workload.name,))
        )

    def tunables_on(self, device: str, workload: Optional[Workload] = None) -> tuple[Tunable, ...]:
        """What tuned mode may change on a device (``gpu:1``), for this workload or for any."""
        kind = device.split(":", maxsplit=1)[0]
        words = words_of(workload) if workload is not None else set(self.words)
        return tuple(
            tunable
            for tunable in self.tunables
            if (not tunable.device_kinds or kind in tunable.device_kinds)
            and (not tunable.word or tunable.word in words)
        )

    def all_settings(
        self, device: str, tuned_settings: Mapping[str, str], workload: Optional[Workload] = None
    ) -> dict[str, str]:
        """Every tunable's value on a device: that of ``tuned_settings``, else the stock one.

        Raises ``ValueError`` for a name or value that is not declared.
        """
        offered = {tunable.name: tunable.values for tunable in self.tunables_on(device, workload)}
        for name, value in tuned_settings.items():
            if value not in offered.get(name, ()):
                raise ValueError(f"{self.name} has no setting {name}={value} on {device}")
        return {**{name: values[0] for name, values in offered.items()}, **tuned_settings}
