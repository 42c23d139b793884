"""Workers in other interpreters: found, refused with a reason, measured as they are."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import epochmark
from epochmark.bench.interpreters.interpreter import Interpreter, choose_interpreter, inspect
from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.bench.session import Bench
from epochmark.engines import get_engine
from epochmark.environments.managed import Environment
from epochmark.environments.manifest import MANIFEST, Manifest, encode_manifest
from epochmark.errors import EpochmarkError
from epochmark.report.text.answer import answer_lines
from epochmark.worker.protocol import Message, Phase
from tests.pipeline.program import SMALL_BATCH

FAKE, TORCH = get_engine("fake").info, get_engine("torch").info


def make_venv(folder: Path, python: str = sys.executable) -> Path:
    """A bare virtual environment; its interpreter."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Another interpreter, with nothing installed."""
    return make_venv(tmp_path / "bare")


@pytest.fixture
def with_numpy(tmp_path: Path) -> Path:
    """Another interpreter, with numpy and nothing else of ours."""
    python = make_venv(tmp_path / "with-numpy")
    (packages,) = (tmp_path / "with-numpy").glob("lib/python*/site-packages")
    installed = Path(np.__file__).parent
    for name in ("numpy", "numpy.libs"):
        if (installed.parent / name).exists():
            (packages / name).symlink_to(installed.parent / name)
    return python


def executable(path: Path, content: str) -> str:
    path.write_text(content)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: str(folder / "none"), "does not exist"),
        (str, "is a folder, not an interpreter"),
        (lambda folder: "no-such-python-on-the-path", "does not exist"),
        (lambda folder: executable(folder / "true", "#!/bin/sh\n"), "does not answer like"),
        (lambda folder: executable(folder / "p", "#!/bin/sh\necho no >&2\n"), "it says: no"),
        (lambda folder: executable(folder / "bytes", "\x7fELF nonsense"), "cannot be started"),
        (
            lambda folder: executable(
                folder / "old", '#!/bin/sh\necho \'epochmark {"version": [3, 8], "missing": []}\'\n'
            ),
            "(Python 3.8) is too old: a worker needs Python 3.9 or newer",
        ),
    ],
)
def test_what_is_no_fitting_python_is_refused(
    tmp_path: Path, make: Callable[[Path], str], said: str
) -> None:
    with pytest.raises(EpochmarkError) as raised:
        choose_interpreter(FAKE, make(tmp_path))
    assert said in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_file_that_may_not_be_executed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\n")
    with pytest.raises(EpochmarkError, match="it cannot be executed"):
        choose_interpreter(FAKE, str(tmp_path / "python"))


def test_a_folder_with_an_interpreter_in_it_names_it(bare: Path) -> None:
    with pytest.raises(EpochmarkError, match=str(bare)):
        choose_interpreter(FAKE, str(bare.parent.parent))


def test_an_interpreter_without_numpy_is_refused(bare: Path) -> None:
    with pytest.raises(EpochmarkError, match="lacks what Fake needs: numpy"):
        choose_interpreter(FAKE, str(bare))


def test_an_interpreter_without_the_framework_is_refused(with_numpy: Path) -> None:
    with pytest.raises(EpochmarkError, match="lacks what PyTorch needs: torch") as raised:
        choose_interpreter(TORCH, str(with_numpy))
    assert "epochmark installs nothing there" in str(raised.value)


def test_another_interpreter_is_measured_as_it_is(
    with_numpy: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHMARK_FAKE", "{}")
    monkeypatch.setenv("MY_VENDORS_SWITCH", "1")
    packages = next(with_numpy.parent.parent.glob("lib/python*/site-packages"))
    before = sorted(packages.iterdir())
    interpreter = choose_interpreter(FAKE, str(with_numpy))
    assert interpreter.environment["MY_VENDORS_SWITCH"] == "1"
    assert "MY_VENDORS_SWITCH" not in Interpreter.own().environment
    assert inspect(interpreter, ["numpy", "msgspec", "rich"]).missing == ("msgspec", "rich")
    record = bench.measure(PlannedRun(RunRequest(engine="fake"), interpreter)).record
    assert record.outcome == "completed"
    assert record.engine.interpreter == "foreign"
    assert sorted(packages.iterdir()) == before


def test_a_framework_for_a_newer_python_is_reported_with_the_version(
    with_numpy: Path, bench: Bench
) -> None:
    """Found, so not refused beforehand: only its import shows that it does not fit."""
    (packages,) = with_numpy.parent.parent.glob("lib/python*/site-packages")
    (packages / "torch").mkdir()
    (packages / "torch" / "__init__.py").write_text("from __future__ import braces_of_tomorrow\n")
    record = bench.measure(
        PlannedRun(
            RunRequest(engine="torch", max_steps=1), choose_interpreter(TORCH, str(with_numpy))
        )
    ).record
    assert record.failure is not None
    assert record.failure.exception == "SyntaxError"
    text = "\n".join(answer_lines(record))
    assert "braces_of_tomorrow is not defined" in text
    assert f"Python {record.engine.python}" in text


def python_39() -> str | None:
    """A Python 3.9 that starts, if there is one: a version manager's stand-in may be there without
    a Python."""
    python = os.environ.get("EPOCHMARK_PYTHON39") or shutil.which("python3.9")
    if python is None:
        return None
    started = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False)
    return python if started.returncode == 0 else None


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The oldest Python that a user's framework may need, with numpy, in a new environment."""
    python = python_39()
    if python is None:
        pytest.skip("no python3.9 that starts is on the PATH (EPOCHMARK_PYTHON39 names one)")
    venv = tmp_path_factory.mktemp("oldest") / "venv"
    subprocess.run([python, "-m", "venv", str(venv)], check=True)
    inside = str(venv / "bin" / "python")
    install = [inside, "-m", "pip", "install", "--quiet", "--no-compile", "numpy"]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return inside


def test_python_3_9_trains(oldest: str, bench: Bench) -> None:
    """With the real native engine."""
    info = get_engine("native").info
    record = bench.measure(
        PlannedRun(
            RunRequest(engine="native", max_steps=20, batch_size=8),
            choose_interpreter(info, oldest),
        )
    ).record
    assert record.outcome == "completed", record.failure
    assert record.engine.python.startswith("3.9.")
    assert record.headline.validity == "partial"


def test_the_worker_and_its_engines_load_on_python_3_9(oldest: str, tmp_path: Path) -> None:
    # the package alone: beside it there may lie a numpy for another Python
    (tmp_path / "epochmark").symlink_to(Path(epochmark.__file__).parent)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import epochmark.worker.__main__, epochmark.native\n"
        "from epochmark.engines import engine_names, get_engine\n"
        "from epochmark.workloads import WORKLOADS\n"
        "from epochmark.workloads._proof import learning_band, parity, reference\n"
        "print([get_engine(name).info.name for name in engine_names()])\n"
    )
    done = subprocess.run([oldest, "-I", "-c", program], capture_output=True, check=False)
    assert done.stderr == b""
    assert b"native" in done.stdout


@pytest.fixture
def managed(with_numpy: Path) -> Environment:
    """An environment as 'engines install' leaves it."""
    folder = with_numpy.parent.parent
    manifest = Manifest(
        name=folder.name, requirements=("x==1",), accelerators=("cpu",), python="3",
        created="", epochmark_version="0", installed={}, size_bytes=0,
    )  # fmt: skip
    (folder / MANIFEST).write_bytes(encode_manifest(manifest))
    return Environment(folder, manifest)


def test_an_environment_deleted_before_the_run_is_an_error(
    managed: Environment, bench: Bench
) -> None:
    interpreter = Interpreter.of_environment(managed)
    shutil.rmtree(managed.folder)
    with pytest.raises(EpochmarkError, match="cannot be started"):
        bench.measure(PlannedRun(RunRequest(engine="fake"), interpreter))


def test_an_environment_deleted_during_the_run_leaves_a_record(
    managed: Environment, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHMARK_FAKE", '{"fail_in": "build", "fail_how": "lack"}')

    def delete(report: Message) -> None:
        if isinstance(report, Phase) and report.name == "loading":
            shutil.rmtree(managed.folder)

    record = bench.measure(
        PlannedRun(RunRequest(engine="fake"), Interpreter.of_environment(managed)), delete
    ).record
    assert record.engine.interpreter == "managed"
    assert record.failure is not None
    assert record.failure.phase in ("loading", "building")
    assert record.failure.exception == "ModuleNotFoundError"


def shim(folder: Path, **pythons: str) -> str:
    """A version manager's stand-in: runs the Python that the current folder is meant for."""
    cases = "\n".join(f'  {name}) exec "{python}" "$@";;' for name, python in pythons.items())
    text = f'#!/bin/sh\ncase "$(cat .python-version 2>/dev/null)" in\n{cases}\nesac\n'
    folder.mkdir()
    return executable(folder / "python", text)


def test_a_version_managers_stand_in_is_the_python_of_the_users_folder(
    with_numpy: Path, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = shim(tmp_path / "shims", mine=str(with_numpy), **{"*": str(bare)})
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{os.environ['PATH']}")
    project = tmp_path / "project"
    project.mkdir()
    (project / ".python-version").write_text("mine\n")
    monkeypatch.chdir(project)
    assert choose_interpreter(FAKE, "python").python == with_numpy
    monkeypatch.chdir(tmp_path)
    assert Interpreter.foreign("python").python == Path(stand_in)


def test_a_script_that_sets_things_up_and_starts_a_python_stays_what_is_started(
    with_numpy: Path, tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it sets is recorded: the worker reports what it really has."""
    monkeypatch.setenv("EPOCHMARK_FAKE", "{}")
    text = f'#!/bin/sh\nexport DNNL_MAX_CPU_ISA=SSE41\nexec "{with_numpy}" "$@"\n'
    script = executable(tmp_path / "wrapper", text)
    record = bench.measure(
        PlannedRun(RunRequest(engine="fake"), choose_interpreter(FAKE, script))
    ).record
    assert record.environment == {"DNNL_MAX_CPU_ISA": "SSE41"}
    assert record.workload.variant == ["DNNL_MAX_CPU_ISA=SSE41"]


def test_a_relative_pythonpath_is_that_of_the_users_folder(
    bare: Path, tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHMARK_FAKE", "{}")
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("numpy", "numpy.libs"):
        if (Path(np.__file__).parent.parent / name).exists():
            (packages / name).symlink_to(Path(np.__file__).parent.parent / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "packages")
    interpreter = choose_interpreter(FAKE, str(bare.relative_to(tmp_path)))
    record = bench.measure(PlannedRun(RunRequest(engine="fake"), interpreter)).record
    assert record.outcome == "completed", record.failure


@pytest.mark.parametrize("kind", ["own", "managed"])
def test_a_broken_numpy_of_the_users_does_not_reach_a_worker_of_ours(
    kind: str,
    managed: Environment,
    tmp_path: Path,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On PYTHONPATH, in the current folder, and among the user's own packages."""
    broken = tmp_path / "broken"
    users = broken / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    users.mkdir(parents=True)
    for folder in (broken, users):
        (folder / "numpy.py").write_text("raise ImportError('not the numpy you want')\n")
    monkeypatch.chdir(broken)
    monkeypatch.setenv("PYTHONPATH", str(broken))
    monkeypatch.setenv("PYTHONUSERBASE", str(broken))
    monkeypatch.setenv("PYTHONHOME", str(broken))
    interpreter = Interpreter.own() if kind == "own" else Interpreter.of_environment(managed)
    request = RunRequest(engine="native", max_steps=2, batch_size=8)
    record = bench.measure(PlannedRun(request, interpreter)).record
    assert record.outcome == "completed", record.failure


@pytest.mark.parametrize("where", ["PYTHONPATH", "the user's own packages"])
def test_our_own_worker_has_numpy_where_we_have_it(
    where: str, bare: Path, tmp_path: Path, mnist_folder: Path
) -> None:
    """After ``pip install --user`` or ``--target``, what we need is in no other place."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = tmp_path / "packages" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    for package in Path(np.__file__).parent.parent.iterdir():
        if package.name != "epochmark":
            (packages / package.name).symlink_to(package)
    (packages / "epochmark").symlink_to(Path(epochmark.__file__).parent)
    if where != "PYTHONPATH":
        configuration = bare.parent.parent / "pyvenv.cfg"
        shared = "include-system-site-packages = true"
        configuration.write_text(configuration.read_text().replace(shared[:-4] + "false", shared))
    variables = {
        "EPOCHMARK_RESULTS": str(tmp_path / "results"),
        "EPOCHMARK_DATA": str(mnist_folder),
        "TMPDIR": str(tmp_path),
        "PYTHONUSERBASE": str(tmp_path / "packages"),
        **({"PYTHONPATH": str(packages)} if where == "PYTHONPATH" else {}),
    }
    done = subprocess.run(
        [bare, "-m", "epochmark", "run", "native", "--steps", "2", *SMALL_BATCH, "--anyway"],
        env={**os.environ, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "worker-crashed" not in done.stdout


def test_a_worker_that_cannot_start_says_why(bare: Path, bench: Bench, tmp_path: Path) -> None:
    record = bench.measure(
        PlannedRun(RunRequest(engine="native"), Interpreter("foreign", bare, {"PATH": "/bin"}))
    ).record
    assert record.failure is not None
    assert "No module named 'numpy'" in record.failure.message


def test_packages_by_another_name_and_without_metadata(
    with_numpy: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renamed package says its version; an empty ``*.dist-info`` is none."""
    monkeypatch.setenv("EPOCHMARK_FAKE", "{}")
    (packages,) = with_numpy.parent.parent.glob("lib/python*/site-packages")
    (packages / "torch").mkdir()
    (packages / "torch" / "__init__.py").write_text("__version__ = '7.1+mine'\n")
    (packages / "tensorflow").mkdir()
    (packages / "tensorflow" / "__init__.py").write_text("raise ImportError('no')\n")
    (packages / "torch-2.0.dist-info").mkdir()
    nightly = packages / "tf_nightly-2.99.dev1.dist-info"
    nightly.mkdir()
    (nightly / "METADATA").write_text("Metadata-Version: 2.1\nName: tf-nightly\nVersion: 2.99\n")
    (nightly / "RECORD").write_text("tensorflow/__init__.py,,\ntf_nightly.dist-info/METADATA,,\n")
    versions = {}
    for engine in ("keras-tensorflow", "torch"):
        interpreter = choose_interpreter(get_engine(engine).info, str(with_numpy))
        planned = PlannedRun(RunRequest(engine=engine, max_steps=1), interpreter)
        versions[engine] = bench.measure(planned).record.engine.versions
    assert versions["keras-tensorflow"]["tf-nightly"] == "2.99"
    assert "torch" not in versions["torch"], "nothing opened, so no version is known"


def test_a_module_without_a_distribution_says_its_version_itself() -> None:
    program = (
        "import json, sys, types\n"
        "sys.modules['torch'] = types.ModuleType('torch')\n"
        "sys.modules['torch'].__version__ = '7.1+mine'\n"
        "from epochmark.engines import get_engine\n"
        "print(get_engine('torch').versions()['torch'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"7.1+mine\n"


def test_a_distribution_described_by_a_single_file_has_its_version(tmp_path: Path) -> None:
    """As distutils and Debian's Python 3.9 leave it."""
    (tmp_path / "torch-1.7.1.egg-info").write_text(
        "Metadata-Version: 1.1\nName: torch\nVersion: 1.7.1\n"
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from epochmark.engines import get_engine\n"
        "print(get_engine('torch').versions()['torch'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"1.7.1\n"


def test_relative_data_is_that_of_the_users_folder(
    tmp_path: Path, mnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnist").symlink_to(mnist_folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPOCHMARK_RESULTS", "results")
    by_argument = epochmark.run("native", max_steps=1, batch_size=8, data=Path("mnist"))
    monkeypatch.setenv("EPOCHMARK_DATA", "mnist")
    by_variable = epochmark.run("native", max_steps=1, batch_size=8)
    assert {by_argument.outcome, by_variable.outcome} == {"completed"}
    assert len(list((tmp_path / "results").glob("*.json"))) == 2


def test_the_users_own_packages_are_searched_only_where_numpy_is_nowhere_else(
    with_numpy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (packages,) = with_numpy.parent.parent.glob("lib/python*/site-packages")
    monkeypatch.setattr(site, "USER_SITE", str(packages))
    assert "PYTHONPATH" not in Interpreter.own().environment
    installed = str(Path(np.__file__).parent.parent)
    monkeypatch.setattr(sys, "path", [*(p for p in sys.path if p != installed), str(packages)])
    assert Interpreter.own().environment["PYTHONPATH"] == str(packages)
    assert Interpreter.own().environment["PYTHONNOUSERSITE"] == "1"
