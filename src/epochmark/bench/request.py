"""What a user asks for: one run, checked before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from epochmark.engines import (
    EngineInfo,
    Settings,
    all_infos,
    engine_names,
    get_engine,
    offering,
)
from epochmark.errors import EpochmarkError, unknown
from epochmark.judge.consistency import PLACE
from epochmark.records.fields import MAX_EPOCHS
from epochmark.system import usable_cores
from epochmark.workloads import DEFAULT_WORKLOAD, WORKLOADS, Workload, damaged_workloads

DEFAULT_SEED = 1

GPU_NAMES = ("cuda", "rocm", "hip", "mps", "metal", "xpu", "opencl", "nvidia", "amd")
"""What frameworks and vendors call a GPU."""


@dataclass(frozen=True)
class RunRequest:
    """One run. None leaves a value as the workload, or the engine, has it.

    A ``quick`` run ends as soon as it knows its steady epoch, one to ``settle`` as soon as the
    machine is thermally steady. ``tuned_settings`` are what a tuned run changes, by name
    (``bench.tuned.search`` finds them).
    """

    engine: str
    device: str = "cpu"
    precision: str = "stock"
    tuning: Literal["stock", "tuned"] = "stock"
    tuned_settings: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None
    max_steps: int | None = None
    quick: bool = False
    settle: bool = False
    batch_size: int | None = None
    threads: int | None = None
    seed: int = DEFAULT_SEED
    label: str | None = None
    workload: Workload = field(default_factory=lambda: WORKLOADS[DEFAULT_WORKLOAD])

    @property
    def settings(self) -> Settings:
        """What the engine is asked for: nothing is left as the workload has it. A run that ends by
        itself allows laps inside epochs."""
        return Settings(
            workload=self.workload,
            device=self.device,
            precision=self.run_precision,
            tuning=self.tuning,
            seed=self.seed,
            epochs=self.run_epochs,
            batch_size=self.run_batch_size,
            threads=self.threads,
            max_steps=self.max_steps,
            quick=self.quick or self.settle,
            tuned_settings=dict(self.tuned_settings),
        )

    @property
    def run_epochs(self) -> int:
        """Epochs of this run: as asked for, else the workload's, as far as the steps reach."""
        if self.epochs is not None:
            return self.epochs
        if self.max_steps is not None:
            return max(1, -(-self.max_steps // self.steps_per_epoch))
        if self.settle:
            return MAX_EPOCHS
        return self.workload.epochs

    @property
    def run_precision(self) -> str:
        """Precision of this run: tuned is float32, also where stock is something faster."""
        return "float32" if self.tuning == "tuned" else self.precision

    @property
    def run_batch_size(self) -> int:
        """Batch size of this run."""
        return self.batch_size or self.workload.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch at the batch size of this run."""
        return self.workload.steps_per_epoch(self.run_batch_size)

    @property
    def run_steps(self) -> int:
        """Steps of this run, unless it decides by itself when to stop."""
        steps = self.steps_per_epoch * self.run_epochs
        return min(steps, self.max_steps or steps)

    @property
    def run_cpus(self) -> int:
        """CPUs this run will keep busy, as far as is known before: all of them unless threads
        are asked for; one that feeds another device."""
        return (self.threads or usable_cores()) if self.device == "cpu" else 1

    @property
    def is_real(self) -> bool:
        """Whether the machine matters: a hidden engine computes nothing, so nothing disturbs it."""
        return self.engine in public_engines()

    def check(self) -> None:
        """Raise ``EpochmarkError`` (exit code 2) for what cannot be run, naming what can."""
        if self.engine not in engine_names():
            raise unknown("engine", self.engine, public_engines())
        kind = self.device.partition(":")[0]
        if not PLACE.fullmatch(self.device):
            meant = " (did you mean gpu?)" if kind.lower() in GPU_NAMES else ""
            _refuse(
                f"{self.device!r} is not a device{meant}; devices are cpu, gpu, tpu, "
                "and gpu:1 for the second of several"
            )
        self._check_offered(kind)
        self._check_batch()
        _check_range("--epochs", self.epochs, MAX_EPOCHS, "longer runs measure nothing more")
        _check_range("--threads", self.threads, usable_cores(), "the cores that are usable here")
        steps = self.steps_per_epoch * (self.epochs or MAX_EPOCHS)
        _check_range("--steps", self.max_steps, steps, "the epochs asked for have no more")
        if self.quick and self.max_steps is not None:
            _refuse("--quick stops by itself; omit --steps")
        if self.settle and (self.quick or self.max_steps is not None or self.epochs is not None):
            _refuse("--settle stops by itself; omit --quick, --steps and --epochs")
        if not 0 <= self.seed < 2**32:
            _refuse(f"--seed {self.seed} is out of range: 0 to {2**32 - 1}")
        if self.label is not None and not (len(self.label) <= 300 and self.label.isprintable()):
            _refuse("--label takes up to 300 printable characters")

    def _check_batch(self) -> None:
        workload, batch = self.workload, self.batch_size
        samples = workload.train_samples
        _check_range("--batch", batch, samples, f"the workload has {samples} {workload.samples}")
        if batch is not None and not workload.takes_batches_of(batch):
            fitting = filter(workload.takes_batches_of, range(1, samples + 1))
            near = sorted(sorted(fitting, key=lambda size: abs(size - batch))[:4])
            _refuse(
                f"--batch {batch} leaves a smaller batch at the end of the {samples:,} "
                f"{workload.samples} of an epoch of {workload.name}; without one: "
                f"{', '.join(map(str, near))}"
            )

    def _check_offered(self, kind: str) -> None:
        """Refuse what the engine says of itself that it does not offer."""
        info = get_engine(self.engine).info
        if not info.offers(self.workload):
            others = ", ".join(offering(self.workload))
            _refuse(
                f"{self.engine} does not offer {self.workload.name}; "
                + (f"these do: {others}" if others else "no engine offers it yet")
            )
        if kind not in info.device_kinds:
            infos = (info for info in all_infos() if not info.hidden)
            there = [info.name for info in infos if kind in info.device_kinds]
            _refuse(
                f"{self.engine} runs on: {', '.join(info.device_kinds)}; not on {kind}"
                + (f"; on {kind}: {', '.join(there)}" if there else "")
            )
        self._check_precision(info)
        if self.tuning == "tuned":
            self._check_tunable(info)
        if self.threads is not None and not info.sets_threads:
            _refuse(f"{self.engine} has no setting for threads; omit --threads")

    def _check_precision(self, info: EngineInfo) -> None:
        if self.precision not in info.precisions:
            _refuse(
                f"{self.engine} has no precision {self.precision!r}, only: "
                f"{', '.join(info.precisions)}"
            )
        if self.precision not in info.precisions_of(self.workload):
            having = [
                name
                for name in offering(self.workload)
                if self.precision in get_engine(name).info.precisions_of(self.workload)
            ]
            _refuse(
                f"{self.engine} has no {self.precision} for {self.workload.name}; "
                f"these have: {', '.join(having) or 'none'}"
            )

    def _check_tunable(self, info: EngineInfo) -> None:
        if not info.tunables_on(self.device, self.workload):
            others = f" for {self.workload.name}" if info.tunables_on(self.device) else ""
            _refuse(f"{self.engine} has no tuned mode{others} on {self.device}; omit --tuning")
        if self.precision not in ("stock", "float32"):
            _refuse(f"tuned is float32 with its fastest settings; not {self.precision}")
        if self.threads is not None:
            _refuse("--tuning tuned finds the best number of threads itself; omit --threads")


def find_workload(name: str) -> Workload:
    """The workload called so. Raises ``EpochmarkError`` where there is none (exit code 2, with the
    others), or where its folder does not fit together (exit code 1, with the reason)."""
    found = WORKLOADS.get(name)
    if found is not None:
        return found
    for damaged in damaged_workloads():
        if damaged.name == name:
            raise EpochmarkError(f"the workload {name} cannot be used: {damaged.problem}")
    raise unknown("workload", name, WORKLOADS)


def named_workloads(name: str) -> list[Workload]:
    """The workload called so; or ``all`` of them, but for large ones, which must be named. Raises
    what ``find_workload`` raises."""
    if name != "all":
        return [find_workload(name)]
    return [workload for workload in WORKLOADS.values() if not workload.only_if_named]


def public_engines() -> list[str]:
    """The engines users choose from, by name."""
    return [info.name for info in all_infos() if not info.hidden]


def _check_range(option: str, value: int | None, maximum: int, why: str) -> None:
    if value is not None and not 1 <= value <= maximum:
        _refuse(f"{option} {value} is out of range: 1 to {maximum} ({why})")


def _refuse(message: str) -> None:
    raise EpochmarkError(message, exit_code=2)
