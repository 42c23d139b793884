"""The cause of a crash, out of what frameworks really write last."""

from __future__ import annotations

import pytest

from epochmark.bench.process.last_words import last_words


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("", ""),
        ("\n...\n", ""),
        (
            "WARNING: all is well\nF1129 02:59:35.8 9012 parse_flags_from_env.cc:234] Unknown flag "
            "in XLA_FLAGS: --xla_nonsense=1\n*** Check failure stack trace: ***\n",
            "; it says: F1129 02:59:35.8 9012 parse_flags_from_env.cc:234] Unknown flag in "
            "XLA_FLAGS: --xla_nonsense=1",
        ),
        (
            'Traceback (most recent call last):\n  File "/home/me/x.py", line 1\n'
            "ModuleNotFoundError: No module named 'numpy'\n",
            "; it says: ModuleNotFoundError: No module named 'numpy'",
        ),
        (
            "ImportError: /home/me/numpy/core.so: undefined symbol; see ~/notes/why.txt\n",
            "; it says: ImportError: core.so: undefined symbol; see why.txt",
        ),
        ("Killed by no one we know\n", "; it says: Killed by no one we know"),
        ("loaded 1/2 and w/o more\n", "; it says: loaded 1/2 and w/o more"),
    ],
)
def test_the_line_that_names_the_cause_is_given_without_paths(stderr: str, words: str) -> None:
    assert last_words(stderr.encode()) == words
