"""The module `hooks.py` of a package: one function that registers, one that observes runs, or both."""

from __future__ import annotations

from nasplug.scaffold.kinds import Kind
from nasplug.scaffold.names import Names
from nasplug.scaffold.template import fill, read_template


def write_hooks(names: Names, kind: Kind) -> str:
    """The text of the module."""
    imports, functions = ["from nasplug.hookspecs import hookimpl"], []
    head = read_template("package/hooks_head.py" if kind.registers else "observer/hooks_head.py").rstrip()
    standard, own = "", ""
    if kind.registers:
        imports.append("from nasplug.plugins import Register")
        functions.append(_registration(names, kind))
    if kind.observer:
        standard = f"{read_template('observer/hooks_imports.py').rstrip()}\n\n"
        own = f"\n\nfrom {names.package}.{kind.observer} import write_row"
        functions.append(fill(read_template("observer/hooks.py"), {"short": names.short}).strip())
    body = "\n\n\n".join(functions)
    return f"{head}\n\n{standard}{chr(10).join(imports)}{own}\n\n\n{body}\n"


def _registration(names: Names, kind: Kind) -> str:
    """The function `nasplug_register`."""
    entries = []
    for one in kind.registers:
        module, _, target = one.target.partition(":")
        values = {"slot": one.slot, "module": module, "target": target, "summary": one.summary}
        entry = read_template("package/hooks_entry.py").rstrip()
        entries.append(fill(entry, {**values, "short": names.short, "package": names.package}))
    return fill(read_template("package/hooks.py"), {"entries": "\n".join(entries)}).strip()
