#!/usr/bin/env python3
"""Checks who includes whom. Layers may include only what the table below allows; MPI, HDF5 and the other libraries stay where they belong.

    python3 tools/check_layers.py [ROOT]          exit code 1 and one line a violation
"""
import pathlib
import re
import sys

# layer -> the layers that it may include beside itself
ALLOWED = {
    "base": set(),
    "comm": {"base"},
    "prior": {"base"},
    "operators": {"base"},
    "metric": {"base"},
    "store": {"base", "comm"},
    "flow": {"base", "comm", "prior", "operators"},
    "run": {"base", "comm", "prior", "operators", "metric", "store", "flow"},
}
# what is included or called -> the only layers that may
CONFINED = {
    r'#include\s*<mpi\.h>': {"comm", "store"},
    r'#include\s*[<"]nccl': {"comm"},
    r'#include\s*[<"](hdf5|H5)': {"store"},
    r'#include\s*<boost/program_options': {"run"},
    r'#include\s*<png\.h>': {"store"},
    r'\bgetenv\b|\bsetenv\b': {"run", "comm/device"},
    r'#include\s*<(ATen|torch|c10)/': {"prior", "operators", "metric", "flow", "run"},
}


def violations(root):
    for path in sorted([*root.glob("include/dwgf/**/*.hpp"), *root.glob("src/**/*.hpp"), *root.glob("src/**/*.cpp")]):
        parts = path.relative_to(root).parts
        layer = parts[2] if parts[0] == "include" else parts[1]
        if layer not in ALLOWED:
            if path.name != "main.cpp":
                yield path, 1, f"'{layer}' is not a layer"
            continue
        here = f"{layer}/{path.stem}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            included = re.match(r'#include\s*[<"](?:dwgf/)?([a-z]+)/', line)
            if included and included[1] in ALLOWED and included[1] != layer and included[1] not in ALLOWED[layer]:
                yield path, number, f"'{layer}' must not include '{included[1]}'"
            for pattern, layers in CONFINED.items():
                if re.search(pattern, line) and layer not in layers and here not in layers:
                    yield path, number, f"only {', '.join(sorted(layers))} may have: {line.strip()}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    found = list(violations(root))
    for path, number, text in found:
        print(f"{path.relative_to(root)}:{number}: {text}")
    if not any(root.glob("src/*/*.cpp")):
        print("no sources found under", root)
        return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
