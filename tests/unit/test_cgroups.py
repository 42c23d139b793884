"""Limits of control groups, from the files of systems that have them (proc and sys in a folder).

The lines of mountinfo and cgroup are those that the named systems show; long ids are shortened.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from epochmark.hardware.cgroups import cpu_quota, memory_left, memory_limit, quota_statistics
from epochmark.hardware.memory import free_memory_bytes

UNLIMITED = "9223372036854771712\n"
"""What version 1 says of a group without a limit, on a kernel with pages of 4 KiB."""

# Ubuntu 22.04 with systemd 249, in a user's shell: version 2 alone.
V2_HOST = (
    "0::/user.slice/user-1000.slice/session-3.scope\n",
    "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 "
    "rw,nsdelegate,memory_recursiveprot\n",
)
# docker run on the same: a namespace of its own.
V2_DOCKER = (
    "0::/\n",
    "1421 1412 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup "
    "rw,nsdelegate,memory_recursiveprot\n",
)
# CentOS 7, docker 20.10: no namespace, so the path is the host's and only its last part is mounted.
V1_DOCKER = (
    "11:memory:/docker/4f1e\n7:cpu,cpuacct:/docker/4f1e\n1:name=systemd:/docker/4f1e\n",
    "612 611 0:26 /docker/4f1e /sys/fs/cgroup/cpu,cpuacct ro,nosuid,relatime master:11 - cgroup "
    "cgroup rw,cpuacct,cpu\n"
    "613 611 0:31 /docker/4f1e /sys/fs/cgroup/memory ro,nosuid,relatime master:16 - cgroup cgroup "
    "rw,memory\n",
)
# CentOS 7 itself, a service with CPUQuota=50%.
V1_HOST = (
    "11:memory:/system.slice/train.service\n3:cpu,cpuacct:/system.slice/train.service\n",
    "32 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 25 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory\n",
)
# Kubernetes 1.23 on version 1, and a container inside of that container (docker in docker).
V1_NESTED = (
    "9:cpu,cpuacct:/kubepods/burstable/pod7c/9a3b/docker/55ee\n"
    "4:memory:/kubepods/burstable/pod7c/9a3b/docker/55ee\n",
    "901 880 0:28 /kubepods/burstable/pod7c/9a3b /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "902 880 0:33 /kubepods/burstable/pod7c/9a3b /sys/fs/cgroup/memory rw - cgroup cgroup "
    "rw,memory\n",
)
# Debian 10: controllers of version 1, and version 2 without any beside them.
HYBRID = (
    "4:cpu,cpuacct:/lxc/box\n2:memory:/lxc/box\n0::/lxc/box\n",
    "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
    "31 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
)


def system(root: Path, shown: tuple[str, str], files: dict[str, str]) -> Path:
    """A folder with these two files of ``/proc/self``, and those below ``sys/fs/cgroup``."""
    own, mounts = shown
    for name, text in {
        "proc/self/cgroup": own,
        "proc/self/mountinfo": mounts,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("shown", "files", "quota", "limit", "statistics"),
    [
        (V2_HOST, {"user.slice/user-1000.slice/session-3.scope/cpu.max": "max 100000\n",
                   "user.slice/user-1000.slice/cpu.max": "150000 100000\n",
                   "user.slice/user-1000.slice/memory.max": "max\n",
                   "user.slice/memory.max": "2147483648\n"},
         1.5, 2 << 30, "user.slice/user-1000.slice/cpu.stat"),
        (V2_DOCKER, {"cpu.max": "100000 100000\n", "memory.max": "536870912\n"},
         1.0, 512 << 20, "cpu.stat"),
        (V1_DOCKER, {"cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
                     "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                     "memory/memory.limit_in_bytes": "536870912\n"},
         1.0, 512 << 20, "cpu,cpuacct/cpu.stat"),
        (V1_HOST, {"cpu,cpuacct/system.slice/train.service/cpu.cfs_quota_us": "50000\n",
                   "cpu,cpuacct/system.slice/train.service/cpu.cfs_period_us": "100000\n",
                   "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                   "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                   "memory/system.slice/train.service/memory.limit_in_bytes": UNLIMITED},
         0.5, None, "cpu,cpuacct/system.slice/train.service/cpu.stat"),
        (V1_NESTED, {"cpu,cpuacct/docker/55ee/cpu.cfs_quota_us": "-1\n",
                     "cpu,cpuacct/docker/55ee/cpu.cfs_period_us": "100000\n",
                     "cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
                     "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                     "memory/docker/55ee/memory.limit_in_bytes": "1073741824\n",
                     "memory/memory.limit_in_bytes": "4294967296\n"},
         2.0, 1 << 30, "cpu,cpuacct/cpu.stat"),
        (HYBRID, {"cpu,cpuacct/lxc/box/cpu.cfs_quota_us": "250000\n",
                  "cpu,cpuacct/lxc/box/cpu.cfs_period_us": "100000\n",
                  "memory/lxc/box/memory.limit_in_bytes": "1073741824\n"},
         2.5, 1 << 30, "cpu,cpuacct/lxc/box/cpu.stat"),
        # neither file of /proc is there, as where it is not mounted
        (("", ""), {"cpu.max": "100000 100000\n", "memory.max": "536870912\n"},
         1.0, 512 << 20, "cpu.stat"),
        (("", ""), {}, None, None, None),
    ],
)  # fmt: skip
def test_the_tightest_limit_around_us_counts(
    shown: tuple[str, str],
    files: dict[str, str],
    quota: float | None,
    limit: int | None,
    statistics: str | None,
    tmp_path: Path,
) -> None:
    root = system(tmp_path, shown, files)
    assert cpu_quota(root) == quota
    assert memory_limit(root) == limit
    expected = None if statistics is None else root / "sys/fs/cgroup" / statistics
    assert quota_statistics(root) == expected


@pytest.mark.parametrize("said", ["", "100000", "100000 0", "-5 100000", "x y z", "9" * 400 + " 1"])
def test_what_is_no_quota_limits_nothing(said: str, tmp_path: Path) -> None:
    root = system(tmp_path, V2_DOCKER, {"cpu.max": said, "memory.max": said})
    assert cpu_quota(root) is None


@pytest.mark.parametrize("said", ["", "max", "-1", "0", "lots", UNLIMITED])
def test_what_is_no_limit_leaves_all_memory(said: str, tmp_path: Path) -> None:
    assert memory_limit(system(tmp_path, V2_DOCKER, {"memory.max": said})) is None


@pytest.mark.parametrize(
    "shown",
    [
        ("0::/../../outside\n", V2_DOCKER[1]),
        ("not a line\n", " - cgroup2\n - cgroup cgroup rw,cpu\n"),
        ("0::/\n", "1 2 0:3 / /sys/fs/cgroup - cgroup2 cgroup2 rw\n"),
    ],
)
def test_unexpected_lines_are_no_error(shown: tuple[str, str], tmp_path: Path) -> None:
    root = system(tmp_path, shown, {"cpu.max": "100000 100000\n"})
    assert cpu_quota(root) in (1.0, None)


def test_a_path_with_a_space_is_found(tmp_path: Path) -> None:
    mounts = "30 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n"
    root = system(tmp_path, ("0::/box\n", mounts), {})
    group = root / "my groups/box"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("50000 100000\n")
    assert cpu_quota(root) == 0.5


def test_of_equal_quotas_the_nearest_group_says_who_was_throttled(tmp_path: Path) -> None:
    folder = "user.slice/user-1000.slice"
    both = {f"{folder}/cpu.max": "400000 100000\n", "user.slice/cpu.max": "400000 100000\n"}
    root = system(tmp_path, V2_HOST, both)
    assert quota_statistics(root) == root / "sys/fs/cgroup" / folder / "cpu.stat"


STATISTICS = "anon 700\ninactive_file 300\nactive_file 50\ntotal_inactive_file 100\n"


@pytest.mark.parametrize(
    ("shown", "files", "left"),
    [
        (V2_DOCKER, {"memory.max": "5000\n", "memory.current": "1050\n",
                     "memory.stat": STATISTICS}, 4250),
        (V1_DOCKER, {"memory/memory.limit_in_bytes": "5000\n",
                     "memory/memory.usage_in_bytes": "1050\n",
                     "memory/memory.stat": STATISTICS}, 4050),
        # the group around ours has the larger limit and less left
        (V2_HOST, {"user.slice/user-1000.slice/memory.max": "5000\n",
                   "user.slice/user-1000.slice/memory.current": "1000\n",
                   "user.slice/memory.max": "9000\n",
                   "user.slice/memory.current": "8500\n"}, 500),
        (V2_DOCKER, {"memory.max": "5000\n", "memory.current": "5001\n"}, 0),
        (V2_DOCKER, {"memory.max": "5000\n", "memory.current": "100\n",
                     "memory.stat": STATISTICS}, 5000),
        (V2_DOCKER, {"memory.max": "5000\n", "memory.current": "50\n",
                     "memory.stat": "inactive_file many\n"}, 4950),
    ],
)  # fmt: skip
def test_what_is_in_use_in_a_group_is_not_free(
    shown: tuple[str, str], files: dict[str, str], left: int, tmp_path: Path
) -> None:
    root = system(tmp_path, shown, files)
    assert memory_left(root) == left
    assert free_memory_bytes(root=root) == left


@pytest.mark.parametrize("files", [{"memory.max": "5000\n"}, {"memory.max": "max\n",
                                   "memory.current": "50\n"}, {}])  # fmt: skip
def test_without_limit_or_use_what_is_left_is_not_known(
    files: dict[str, str], tmp_path: Path
) -> None:
    assert memory_left(system(tmp_path, V2_DOCKER, files)) is None
