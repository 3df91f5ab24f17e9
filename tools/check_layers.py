#!/usr/bin/env python3
"""Checks who includes whom. Every include is resolved to a file first; a room may include only what the table below allows, a header under
detail/ belongs to its own room, what is installed includes only what is installed, and MPI, HDF5 and the other libraries stay where
they belong.

    python3 tools/check_layers.py [ROOT]          exit code 1 and one line a violation
    python3 tools/check_layers.py --draw          the rooms from top to bottom, and what each includes
"""
import pathlib
import re
import sys

# room -> the rooms that it may include beside itself, lowest first
_FRONT = ["base", "catalogue", "comm", "service", "hdf5", "data", "store", "input"]
_TENSORS = ["base", "comm", "prior", "operators"]
ALLOWED = {
    "base": [],
    "catalogue": ["base"],
    "comm": ["base"],
    "service": ["base", "comm"],
    "hdf5": ["base", "comm"],
    "data": ["base", "comm", "hdf5"],
    "store": ["base", "comm", "hdf5", "data"],
    "input": ["base"],
    "app": _FRONT,
    "prior": ["base"],
    "operators": ["base", "catalogue"],
    "metric": ["base"],
    "flow": _TENSORS,
    "posterior": [*_TENSORS, "metric", "flow"],
    "job": [*_FRONT, *_TENSORS, "metric", "flow", "posterior"],
    "report": [*_FRONT, *_TENSORS, "metric", "flow", "posterior", "job"],
}
# what is included or called -> the only rooms that may
CONFINED = {
    r'#include\s*<mpi\.h>': {"comm", "hdf5", "store"},
    r'#include\s*[<"]nccl': {"comm"},
    r'#include\s*<(hdf5|H5\w*)\.h>': {"hdf5", "store"},
    r'#include\s*<boost/program_options': {"input"},
    r'#include\s*<(png|spng|turbojpeg|jpeglib|tiffio)\.h>': {"data", "store/library_versions"},
    r'\bgetenv\b|\bsetenv\b': {"service", "comm/device"},
    r'#include\s*<(ATen|torch|c10)/': {"prior", "operators", "metric", "flow", "posterior", "job", "report"},
}


def room_of(path):
    """The room of a path below the root, and whether its header is installed."""
    parts = path.parts
    installed = parts[0] == "include"
    return (parts[2] if installed else parts[1]), installed


def resolved(root, path, name, quoted):
    """The project's file that an include names, relative to the root; None where it is another's."""
    places = [path.parent] if quoted else []
    for place in [*places, root / "include", root / "src"]:
        file = (place / name).resolve()
        if file.is_file() and root in file.parents:
            return file.relative_to(root)
    return None


def sources(root):
    return sorted(path.relative_to(root) for pattern in ("include/dwgf/**/*.hpp", "src/**/*.hpp", "src/**/*.cpp")
                  for path in root.glob(pattern) if len(path.relative_to(root).parts) > 2)


def includes(root, path):
    """(line number, the project's file)"""
    for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1):
        included = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not included:
            continue
        file = resolved(root, root / path, included[2], included[1] == '"')
        if file:
            yield number, file
        elif included[1] == '"' or included[2].startswith("dwgf/"):
            yield number, None


def violations(root):
    for path in sources(root):
        room, installed = room_of(path)
        if room not in ALLOWED:
            yield path, 1, f"'{room}' is not a room"
            continue
        for number, file in includes(root, path):
            if file is None:
                yield path, number, "includes a file that is not there"
                continue
            other, other_installed = room_of(file)
            if other != room and other not in ALLOWED[room]:
                yield path, number, f"'{room}' must not include '{other}'"
            elif other != room and "detail" in file.parts:
                yield path, number, f"{file.name} is private to '{other}'"
            elif installed and not other_installed:
                yield path, number, f"an installed header must not include {file.name}, which is not installed"
        here = f"{room}/{path.stem}"
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1):
            for pattern, rooms in CONFINED.items():
                if re.search(pattern, line) and room not in rooms and here not in rooms:
                    yield path, number, f"only {', '.join(sorted(rooms))} may have: {line.strip()}"
    folders = {}
    for path in sources(root):
        if path.suffix == ".cpp":
            folders.setdefault(path.parent, []).append(path)
    for folder, files in folders.items():
        if len(files) > 30:
            yield folder, 1, f"{len(files)} sources in one folder; more than 30 cannot be surveyed"


def draw(root):
    """The rooms, highest first, with their size and what they include, by number of includes."""
    counts, files, lines = {}, {}, {}
    for path in sources(root):
        room, _ = room_of(path)
        files[room] = files.get(room, 0) + 1
        lines[room] = lines.get(room, 0) + len((root / path).read_text(encoding="utf-8").splitlines())
        for _, file in includes(root, path):
            if file and room_of(file)[0] != room:
                key = room, room_of(file)[0]
                counts[key] = counts.get(key, 0) + 1
    height = {}

    def floor(room):
        if room not in height:
            height[room] = 1 + max((floor(below) for below in ALLOWED[room]), default=-1)
        return height[room]

    for room in sorted(ALLOWED, key=lambda name: (-floor(name), name)):
        below = sorted(((count, other) for (one, other), count in counts.items() if one == room), reverse=True)
        print(f"{floor(room)} {room:10} {files.get(room, 0):4} files {lines.get(room, 0):6} lines  -> "
              + ", ".join(f"{other} {count}" for count, other in below))


def main():
    arguments = [word for word in sys.argv[1:] if word != "--draw"]
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).resolve().parent.parent).resolve()
    if "--draw" in sys.argv:
        draw(root)
        return 0
    found = list(violations(root))
    for path, number, text in found:
        print(f"{path}:{number}: {text}")
    if not any(root.glob("src/*/*.cpp")):
        print("no sources found under", root)
        return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
