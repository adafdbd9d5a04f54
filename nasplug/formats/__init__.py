"""Text and files that a user hands over: how much of them is read, and one reader for each format.

Every reader raises `FormatError`, the end of a sentence about the text or file, and nothing else for bad content.
"""

from __future__ import annotations
