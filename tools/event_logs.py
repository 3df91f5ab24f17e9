"""The event logs of a restoration's ranks (`log.file` with %r). Needs nothing beside Python's standard
library."""
import datetime
import json
import pathlib


def events_of(prefix, ranks):
    """All events of PREFIX-0 ... PREFIX-(ranks - 1)."""
    return [json.loads(line) for rank in range(ranks)
            for line in pathlib.Path(f"{prefix}-{rank}").read_text().splitlines()]


def seconds_of(events):
    """From the first image's begin to the last one's end."""
    def times(name):
        return [datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
                for event in events if event["event"] == name]

    return (max(times("image done")) - min(times("image begins"))).total_seconds()
