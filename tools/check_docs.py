#!/usr/bin/env python3
"""Checks what the documentation says against what is there: every relative link, every option, command and
flag of the program, every tool and test that is named, every table that is made from a CSV file; and its
form: lines of at most 110 columns outside of tables, a README of at most 160 lines. A test.

    python3 tools/check_docs.py PROGRAM      PROGRAM: build/dwgf, asked for its options; exit code 1 and one
                                             line a mistake
"""
import pathlib
import re
import subprocess
import sys

import figures

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = 110
README_LINES = 160
# Words behind a dot that make a file name or a Python expression, not an option.
NOT_KEYS = {"cpp", "hpp", "py", "ini", "md", "sh", "h5", "npy", "png", "log", "json", "sbatch", "svg", "attrs",
            "html", "csv"}


def documents():
    """Returns the Markdown files of the tree, without those of build folders and of studies' outputs."""
    def is_document(parts):
        return (not any(part.startswith((".", "build")) for part in parts[:-1])
                and not re.match(r"(quickstart|tables|scaling|calibrate)-", parts[0]))
    return sorted(path for path in ROOT.rglob("*.md") if is_document(path.relative_to(ROOT).parts))


def printed(program, *arguments):
    return subprocess.run([program, *arguments], text=True, stdout=subprocess.PIPE, check=True).stdout


def options_of(program):
    """command -> its options, as --help has them."""
    commands = re.findall(r"^  ([a-z-]+) ", printed(program, "--help"), re.M)
    return {command: {key for key in re.findall(r"^  --([\w.-]+)", printed(program, command, "--help"),
                                                re.M)} | {"config"}
            for command in commands}


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(text):
    return re.findall(r"^#+ (.*)$", text, re.M)


def form(path, text):
    """Yields lines that are too long where they could be broken: everywhere but in tables."""
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > COLUMNS and not line.startswith("|"):
            yield f"line {number} has {len(line)} columns; {COLUMNS} are the most"
    if path == ROOT / "README.md" and text.count("\n") > README_LINES:
        yield f"it has {text.count(chr(10))} lines; {README_LINES} are the most"


def links(path, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            yield f"the link to {target} leads nowhere"
        elif anchor and file.suffix == ".md" and anchor not in map(slug,
            headings(file.read_text(encoding="utf-8"))):
            yield f"{name or path.name} has no heading for #{anchor}"


def code(text):
    """Spans and blocks of code."""
    yield from re.findall(r"```\w*\n(.*?)```", text, re.S)
    without = re.sub(r"```.*?```", "", text, flags=re.S)
    yield from re.findall(r"^    \S.*$", without, re.M)
    yield from re.findall(r"`([^`\n]+)`", without)


def options(text, table):
    known = set().union(*table.values())
    sections = {key.split(".")[0] for key in known if "." in key}
    for piece in code(text):
        for key in re.findall(r"--([a-z_]+\.[a-z_]+)", piece):
            if key not in known:
                yield f"--{key} is no option of the program"
        for section, name in re.findall(r"(?<![\w./-])([a-z]+)\.([a-z_]+)(?![\w(/])", piece):
            if section in sections and name not in NOT_KEYS and f"{section}.{name}" not in known:
                yield f"{section}.{name} is no option of the program"


def commands(text, table):
    for piece in code(text):
        for line in piece.splitlines():
            line = line.split(" # ")[0]
            for command, rest in re.findall(r"(?:^|[ /])dwgf ([a-z][a-z-]*)\b([^|;&]*)", line):
                if command not in table:
                    yield f"dwgf has no command {command}"
                    continue
                for flag in re.findall(r" --([\w.-]+)", rest):
                    if flag not in table[command] | {"help"}:
                        yield f"dwgf {command} has no option --{flag}"


def is_placeholder(name):
    return re.search(r"[A-Z]{3}|/x[_.]", name)


def names(text):
    for piece in code(text):
        for tool in re.findall(r"(?<![\w/.])(?:\./)?(tools/[\w./-]+\w)", piece):
            if not is_placeholder(tool) and not (ROOT / tool).exists() and not list(ROOT.glob(tool + "*")):
                yield f"{tool} is not there"
        for test in re.findall(r"(?<![\w/.])(tests/[\w./-]+\w)", piece):
            if not is_placeholder(test) and not (ROOT / test).exists():
                yield f"{test} is not there"


def main():
    table = options_of(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/dwgf")
    assert len(table) > 5 and len(table["restore"]) > 20, "the program tells no options"
    mistakes = 0
    for path in documents():
        text = path.read_text(encoding="utf-8")
        found = [*links(path, text), *options(text, table), *commands(text, table), *names(text),
                 *form(path, text),
                 *figures.mistakes(path, text)]
        for mistake in found:
            print(f"{path.relative_to(ROOT)}: {mistake}")
        mistakes += len(found)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
