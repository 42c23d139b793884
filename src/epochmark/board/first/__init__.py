"""What a board has on its first day: this project's own runs, in the form of a board's dump.

``benchmarks/first_results.py`` makes ``results.jsonl.gz``.
"""
