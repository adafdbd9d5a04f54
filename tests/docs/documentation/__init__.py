"""Reads and runs what stands in the blocks of the documentation.

The rules, by the language of a block. Blocks of a page run in order, in one fresh folder and one Python namespace.

- `python` runs. A block whose first line is a file's name as a comment (`# my_method.py`) is written there instead.
- `toml` and `json` are parsed; a file's name in the first line works as in Python.
- `console` has commands after `$ `; the other lines are what they print, which is compared. `...` stands for anything.
- In an indented block that starts with a program's name, every line is a command.
- Everything else is text.

`nasplug` lines run in this process. `run` and `retrain` stop where the training would start, when names, options and
the composition have been checked, and `check` before its first check. `pip install` of a folder, or of a name that a
package of this repository has, makes its entry points known. Other programs are not run; an unknown one is an error.

A comment above a block changes the rules: `<!-- test: WORD, WORD -->`, with

- `search`: its `nasplug run` lines train, with few images and one epoch, and its `nasplug check` lines check;
- `any output`: what is printed may differ from what the page shows;
- `fails`: the commands end with an exit code other than 0;
- `not run`: Python is only compiled, commands are only parsed.
"""
