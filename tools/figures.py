#!/usr/bin/env python3
"""Renders the tables of the documentation from the CSV files beside it, or compares them (a test, by
tools/check_docs.py).

    python3 tools/figures.py            exit code 1 and one line for every table that is not its CSV file's
    python3 tools/figures.py --write    writes the tables anew

A table stands in a Markdown file between `<!-- table: FILE.csv -->` and `<!-- end -->`; FILE is relative to
the Markdown file. `<!-- table: FILE.csv topic=speed -->` takes the rows whose column `topic` is `speed`, and
leaves that column out. tools/figures.csv is every measured figure of the prose: claim, figure, command,
machine, date.
"""
import csv
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = re.compile(r"<!-- table: (\S+)(?: (\w+)=([^>]*?))? -->\n(.*?)<!-- end -->", re.S)
FIGURES = ["topic", "claim", "figure", "command", "machine", "date"]


def read(path):
    """Returns the header and the rows of a CSV file; throws ValueError if a row has another number of
    cells."""
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, the header {len(header)}")
    return header, rows


def cell(name, text):
    text = text.replace("|", "\\|")
    return f"`{text}`" if name == "command" and text.startswith(("tools/", "build/", "dwgf ",
        "ctest ")) else text


def rendered(path, key, value):
    """Returns the Markdown table of a CSV file, or of its rows whose column `key` is `value`."""
    header, rows = read(path)
    shown = [column for column, name in enumerate(header) if not key or name != key]
    if key:
        rows = [row for row in rows if row[header.index(key)] == value]
        if not rows:
            raise ValueError(f"no row has {key} {value}")
    lines = ["| " + " | ".join(header[column] for column in shown) + " |", "|---" * len(shown) + "|"]
    lines += ["| " + " | ".join(cell(header[column], row[column]) for column in shown) + " |" for row in rows]
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in lines) + "\n"


def mistakes(path, text):
    """Yields what is wrong with the tables of one Markdown file, and with figures.csv where it is
    figures.md."""
    for name, key, value, table in TABLE.findall(text):
        try:
            if rendered(path.parent / name, key, value) != table:
                yield f"the table of {name} {value} is not the file's; tools/figures.py --write makes it so"
        except (OSError, ValueError) as error:
            yield f"{name}: {error}"
    if path == ROOT / "tools/figures.md":
        yield from mistakes_of_figures(text)


def mistakes_of_figures(text):
    """Yields rows of figures.csv that lack a cell, and topics that figures.md does not show."""
    header, rows = read(ROOT / "tools/figures.csv")
    if header != FIGURES:
        yield f"figures.csv has the columns {header}, not {FIGURES}"
        return
    for number, row in enumerate(rows, 2):
        if not all(row):
            yield f"figures.csv: row {number} lacks {FIGURES[row.index('')]}"
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", row[5]):
            yield f"figures.csv: row {number} has no date: {row[5]}"
    for topic in sorted({row[0] for row in rows} - {value for _, _, value, _ in TABLE.findall(text)}):
        yield f"figures.csv: the topic {topic} is not shown"


def write(path, text):
    """Puts the tables of the CSV files into a Markdown file."""
    def table(found):
        name, key, value = found.group(1, 2, 3)
        which = f"{name} {key}={value}" if key else name
        return f"<!-- table: {which} -->\n{rendered(path.parent / name, key, value)}<!-- end -->"
    path.write_text(TABLE.sub(table, text), encoding="utf-8")


def main():
    sys.path.insert(0, str(ROOT / "tools"))
    import check_docs
    wrong = []
    for path in check_docs.documents():
        text = path.read_text(encoding="utf-8")
        if "--write" in sys.argv[1:]:
            write(path, text)
            text = path.read_text(encoding="utf-8")
        wrong += [f"{path.relative_to(ROOT)}: {mistake}" for mistake in mistakes(path, text)]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
