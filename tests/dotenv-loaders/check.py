"""Reads what the dotenv store wrote with python-dotenv, and compares. Called by check.sh: FOLDER VERSION."""

import json
import logging
import os
import pathlib
import sys

from dotenv import dotenv_values

# Loaders warn of random text, as they should.
logging.disable(logging.WARNING)
os.environ.update(HOME="/replaced", A="replaced")
folder, version = pathlib.Path(sys.argv[1]), sys.argv[2]
written = read = 0

for value in folder.glob("*.value"):
    expected = value.read_bytes().decode()
    found = dotenv_values(value.with_suffix(".env"))
    got = (found.get("K"), found.get("K_NEW"), found.get("Z"))
    assert got == (expected, expected, "kept"), f"{value.name}: {got!r}"
    written += 1

# The rules for backslashes in quotes changed since the older release; ours are the newer one's.
if version == "1.2.4":
    for ours in folder.glob("r*.python"):
        expected = json.loads(ours.read_text())
        found = dotenv_values(ours.with_suffix(".env"))
        assert found.keys() == expected.keys(), f"{ours.name}: {found!r} for {expected!r}"
        for key, value in expected.items():
            assert value is None or found[key] == value, f"{ours.name}: {found!r} for {expected!r}"
        read += 1

assert written > 90, "nothing was compared"
print(f"python-dotenv {version}: {written} written files and {read} random ones are read alike")
