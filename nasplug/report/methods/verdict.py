"""What the figures of a group say, in one sentence."""

from __future__ import annotations

from nasplug.report.methods.groups import Group
from nasplug.report.methods.words import interval, points


def verdict(group: Group) -> str:
    """Whether the search found better networks than chance, and how sure that is."""
    gain = group.gain
    if gain is None:
        return f"{group.title}: no found network was tested beside a random one of its size."
    side = "better" if gain.mean > 0 else "worse" if gain.mean < 0 else "neither better nor worse"
    said = f"{group.title}: found networks are {side} than random ones of equal size"
    said += f" by {points(abs(gain.mean)).lstrip('+')} points of test error" if gain.mean else ""
    if gain.interval is None:
        return f"{said}, by a single run, which does not tell how much of it is chance."
    low, high = gain.interval
    chance = "that includes zero, so it may be chance" if low <= 0 <= high else "that excludes zero"
    return f"{said} (95 % interval over {len(gain.values)} runs: {interval(gain)}; {chance})."
