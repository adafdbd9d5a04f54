"""Pages from the templates in `templates/`, in which every value is escaped unless it is markup already."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from nasplug.errors import printable
from nasplug.report.number_format import format_count, format_percent, format_setting
from nasplug.report.style import COLOURS, ROLES
from nasplug.store.files import write_atomically

_environment = Environment(
    loader=PackageLoader("nasplug.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_environment.filters |= {"number": format_count, "percent": format_percent, "setting": format_setting}
_environment.globals |= {"colours": COLOURS, "roles": ROLES}


def render(template: str, **values: object) -> str:
    """A whole page, which refers to nothing outside itself. SVG is given as `markupsafe.Markup`.

    Control characters of what a run says of itself are shown as escapes.
    """
    return printable(_environment.get_template(template).render(values))


def write_page(path: Path, text: str) -> None:
    """Writes a page, replacing an earlier one as a whole, with question marks for what is no letter of any text.

    Raises RunFailure if the file cannot be written.
    """
    write_atomically(path, text.encode(errors="replace"))
