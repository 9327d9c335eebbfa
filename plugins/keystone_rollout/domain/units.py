"""Put numbers into the words of the report: durations, counts, sizes, times."""

from __future__ import annotations

from datetime import UTC, datetime

NOT_ENOUGH_DATA = "not enough data"


def elapsed(seconds: float) -> str:
    """Return seconds as a clock shows them: 0:07, 3:52, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """Return seconds in words: 7 s, 3 min 52 s, 1 h 2 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(number: int) -> str:
    """Return a count with its thousands apart."""
    return f"{number:,}"


def milliseconds(value: float | None) -> str:
    """Return a response time, or NOT_ENOUGH_DATA."""
    return NOT_ENOUGH_DATA if value is None else f"{value:,.0f} ms"


def size(number: int) -> str:
    """Return a number of bytes in the unit that fits."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def moment(epoch: float | None) -> str:
    """Return a time of day with its date, in UTC."""
    if epoch is None:
        return "unknown"
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(epoch: float) -> str:
    """Return a time of day, in UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%H:%M:%S")
