"""Counts what `[deduplicate]` found of what `plant.py` planted.

    count.py OUT/manifest.jsonl CLEAN/ledger.jsonl [--csv] [--wrong]

A sample that went is right if the one that it is said to be the same as is of its own original. Precision is over all
that went, of the copies of kinds that end in `-other` too; recall over each kind of copy.
"""

import collections
import json
import re
import sys

manifest, ledger = sys.argv[1:3]
base = lambda name: name.split("~")[0]
kind = lambda name: name.split("~")[1] if "~" in name else "original"
planted = [json.loads(line)["id"] for line in open(manifest)]
right, wrong = set(), []
for line in map(json.loads, open(ledger)):
    if line["stage"] != "deduplicate":
        sys.exit(f"expected nothing else in the ledger, got {line}")
    (other,) = re.findall(r'"(.*)"', line["reason"])
    if base(other) == base(line["id"]) and "~" in line["id"]:
        right.add(line["id"])
    else:
        wrong.append((line["id"], other))
of_kind = collections.Counter(map(kind, planted))
found = collections.Counter(map(kind, right))
is_near = lambda name: name != "original" and not name.endswith("-other")
# of texts the kinds are told apart by length too
lengths = sorted({name.split("-")[0] for name in planted} & {"short", "middle", "long"})
n_near = sum(n for name, n in of_kind.items() if is_near(name))
n_found = sum(n for name, n in found.items() if is_near(name))
n_wrong_originals = sum("~" not in name for name, _ in wrong)
if "--csv" in sys.argv:
    print("kind,length,planted,found")
    for name in of_kind:
        for length in lengths or [""]:
            of = lambda names: sum(kind(n) == name and n.startswith(length) for n in names)
            print(f"{name},{length},{of(planted)},{of(right)}")
else:
    for name, n in of_kind.items():
        if name == "original":
            continue
        parts = [
            f"{length} {sum(kind(n) == name and n.startswith(length + '-') for n in right) / max(1, sum(kind(n) == name and n.startswith(length + '-') for n in planted)):.3f}"
            for length in lengths
        ]
        print(f"{name:22} recall {found[name] / n:.3f}  {'  '.join(parts)}")
    print(f"near kinds: recall {n_found / n_near:.4f} ({n_found} of {n_near})")
    print(f"precision {len(right) / max(1, len(right) + len(wrong)):.4f} ({len(wrong)} wrong, {n_wrong_originals} of {of_kind['original']} originals)")
if "--wrong" in sys.argv:
    print(*(f"{a} is not {b}" for a, b in wrong), sep="\n")
