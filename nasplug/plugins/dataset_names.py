"""Where the name of a data set ends and its location begins, which a colon separates."""

from __future__ import annotations

from packaging.utils import canonicalize_name

from nasplug.plugins.installed import Plugins


def split_dataset_name(plugins: Plugins, name: str) -> tuple[str, str]:
    """The registered name that `name` begins with, and what follows it: "folder", "C:/images" of "folder:C:/images".

    Two components are the registered name if they read "distribution:name"; a location may follow them as well.
    """
    first, _, rest = name.partition(":")
    second, _, location = rest.partition(":")
    if plugins.find_all("dataset", f"{first}:{second}"):
        return f"{first}:{second}", location
    if second and not plugins.find_all("dataset", first) and _supplies_data(plugins, first):
        return f"{first}:{second}", location  # not registered, but this is what was meant: a refusal names it
    return first, rest


def _supplies_data(plugins: Plugins, distribution: str) -> bool:
    wanted = canonicalize_name(distribution)
    return any(one.slot == "dataset" and canonicalize_name(one.distribution) == wanted for one in plugins.registrations)
