#!/usr/bin/env python3
"""Checks who includes whom. Every include is resolved to a file first; a room may include only what the table below allows, a header under
detail/ belongs to its own room, what is installed includes only what is installed, and MPI, HDF5 and the other libraries stay where
they belong.

    python3 tools/check_layers.py [ROOT]          exit code 1 and one line a violation
    python3 tools/check_layers.py --draw          the rooms from top to bottom, and what each includes
    python3 tools/check_layers.py --svg           the same as a drawing, src/architecture.svg
"""
import pathlib
import re
import sys

# room -> the rooms that it may include beside itself, lowest first
_FRONT = ["base", "catalogue", "comm", "service", "hdf5", "data", "store", "input"]
_TENSORS = ["base", "catalogue", "kernels", "comm", "prior", "operators"]
ALLOWED = {
    "base": [],
    "catalogue": ["base"],
    "kernels": ["base"],
    "comm": ["base"],
    "service": ["base", "comm"],
    "hdf5": ["base", "comm"],
    "data": ["base", "comm", "hdf5"],
    "store": ["base", "comm", "hdf5", "data"],
    "input": ["base", "catalogue"],
    "app": _FRONT,
    "prior": ["base", "catalogue", "kernels", "hdf5"],
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
    r'#include\s*<(png|spng|turbojpeg|jpeglib|tiffio|lcms2|webp/\w+)\.h>': {"data", "store/library_versions"},
    # datasets of results files
    r'^[^/]*"/(image|posterior|particles|truth|measurement|diagnostics|problem|operator|timing)/': {"store/schema"},
    r'\bgetenv\b|\bsetenv\b': {"service", "comm/cuda"},
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
    return sorted(path.relative_to(root) for pattern in ("include/dwgf/**/*.hpp", "src/**/*.hpp",
                                                         "src/**/*.cpp")
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


def floors():
    """room -> how far above the lowest it may stand by the table"""
    height = {}

    def floor(room):
        if room not in height:
            height[room] = 1 + max((floor(below) for below in ALLOWED[room]), default=-1)
        return height[room]

    return {room: floor(room) for room in ALLOWED}


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
    height = floors()
    for room in sorted(ALLOWED, key=lambda name: (-height[name], name)):
        below = sorted(((count, other) for (one, other), count in counts.items() if one == room),
                       reverse=True)
        print(f"{height[room]} {room:10} {files.get(room, 0):4} files {lines.get(room, 0):6} lines  -> "
              + ", ".join(f"{other} {count}" for count, other in below))


def drawing(root):
    """The rooms as an SVG: on its floor each, with arrows to what it includes, but for what another arrow's room includes anyway."""
    includes_of = {room: set() for room in ALLOWED}
    for path in sources(root):
        for _, file in includes(root, path):
            if file and room_of(file)[0] != room_of(path)[0]:
                includes_of[room_of(path)[0]].add(room_of(file)[0])

    def reached(room):
        return includes_of[room].union(*(reached(below) for below in includes_of[room]))

    height, place, width, row = floors(), {}, 130, 90
    top = max(height.values())
    light = {"app", *ALLOWED["app"]}  # without LibTorch, on the left
    for floor in range(top + 1):
        # Floors are shifted against each other, so that an arrow past a room does not seem to end there.
        for rooms, first in ((light, 85 + 75 * (floor % 2)), (ALLOWED.keys() - light, 640 + 45 * (2 * floor % 5))):
            for k, room in enumerate(room for room in ALLOWED if room in rooms and height[room] == floor):
                place[room] = first + k * (width + 25), 20 + (top - floor) * row
    place["base"] = 440, place["base"][1]
    boxes, arrows = [], []
    for room, (x, y) in place.items():
        boxes.append(f'<rect x="{x - width // 2}" y="{y}" width="{width}" height="44" rx="6" fill="{"#eef3fa" if room in light else "#fdf3e7"}"/>'
                     f'<text x="{x}" y="{y + 27}">{room}</text>')
        for below in sorted(includes_of[room]):
            if any(below in reached(other) for other in includes_of[room] - {below}):
                continue
            end = place[below]
            arrows.append(f'<path d="M{x} {y + 44} C{x} {y + 70} {end[0]} {end[1] - 26} {end[0]} {end[1] - 2}"/>')
    size = 20 + (top + 1) * row
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {size}" font-family="sans-serif" font-size="15" role="img" '
        'aria-label="The rooms, and which includes which">',
        "<desc>Made by `python3 tools/check_layers.py --svg`.</desc>",
        f'<rect width="900" height="{size}" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L10 5 L0 10 z" fill="#444444"/></marker></defs>',
        '<g stroke="#444444" fill="none" stroke-width="1.3" marker-end="url(#tip)">', *arrows, "</g>",
        '<g text-anchor="middle" font-weight="bold">', *boxes, "</g>",
        f'<text x="20" y="{size - 8}" font-size="12">Arrows: includes, without those that follow from others. Blue: without LibTorch. '
        "An include upward fails tools/check_layers.py.</text>", "</svg>", ""])


def main():
    arguments = [word for word in sys.argv[1:] if word not in ("--draw", "--svg")]
    root = pathlib.Path(arguments[0] if arguments
                        else pathlib.Path(__file__).resolve().parent.parent).resolve()
    if "--draw" in sys.argv:
        draw(root)
        return 0
    if "--svg" in sys.argv:
        (root / "src/architecture.svg").write_text(drawing(root), encoding="utf-8")
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
