"""Numbers and option values as text."""

from __future__ import annotations

UNFINISHED = "not finished"


def format_percent(fraction: float | None) -> str:
    """An error, which is a fraction, as per cent."""
    return UNFINISHED if fraction is None else f"{100 * fraction:.2f} %"


def format_points(difference: float) -> str:
    """A difference of two errors."""
    return f"{100 * difference:.2f} percentage points"


def format_count(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}"


def format_epochs(number: int) -> str:
    """A number of epochs."""
    return f"{format_count(number)} {'epoch' if number == 1 else 'epochs'}"


def format_duration(seconds: float | None) -> str:
    """Seconds, and hours and minutes where they are easier to grasp."""
    if seconds is None:
        return "not recorded"
    exact = f"{seconds:,.1f} s"
    if seconds < 120:
        return exact
    minutes = round(seconds / 60)
    return f"{exact} ({minutes // 60} h {minutes % 60:02d} min)" if minutes >= 60 else f"{exact} ({minutes} min)"


def format_memory(size: int | None) -> str:
    """Bytes in binary units."""
    if size is None:
        return "not recorded"
    return f"{size / 2**30:,.2f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"


def format_setting(value: object) -> str:
    """The value of an option."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(format_setting, value)) or "none"
    return str(value)
