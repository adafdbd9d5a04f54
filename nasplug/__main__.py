"""`python -m nasplug` is the command `nasplug`."""

from __future__ import annotations

from nasplug.cli import main

if __name__ == "__main__":
    main(prog_name="nasplug")
