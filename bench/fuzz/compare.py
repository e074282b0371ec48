"""Asks the reference implementation about the mutants that `bench/fuzz/safetensors.ts --keep DIR` wrote: whatever ours reads, it must read too.
Run: bench/peers/venv/bin/python bench/fuzz/compare.py DIR"""
import collections
import pathlib
import sys

from safetensors import SafetensorError, safe_open

folder = pathlib.Path(sys.argv[1])
counts = collections.Counter()
faults = []
for line in (folder / "verdicts.tsv").read_text().splitlines():
    run, ours = line.split("\t")
    try:
        with safe_open(folder / f"{run}.safetensors", "np") as file:
            list(file.keys())
        theirs = "reads"
    except SafetensorError as error:
        theirs = "refuses"
        if ours == "read":
            faults.append((run, str(error)))
    counts[("reads" if ours == "read" else "refuses", theirs, ours)] += 1
for (ours, theirs, code), n in sorted(counts.items()):
    print(f"ours {ours}, theirs {theirs}: {n} ({code})")
for run, message in faults[:20]:
    print(f"{run}: ours reads it, theirs says {message}")
sys.exit(1 if faults else 0)
