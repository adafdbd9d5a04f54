"""An architecture as a value: topology only, never channels or classes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from nasplug.errors import InputError, quote
from nasplug.formats.json_text import parse_json
from nasplug.formats.limits import FormatError, check_length

SCHEMA = 1


def _canonical(
    picks: Mapping[str, Iterable[str]] | Iterable[tuple[str, Iterable[str]]],
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    items = picks.items() if isinstance(picks, Mapping) else picks
    return tuple((name, tuple(sorted(picked))) for name, picked in items)


@attrs.frozen
class Genotype:
    """What a search finds: for each place of a search space, the candidates picked there.

    The space defines the names of places and candidates. Places are in the order of the space, candidates in
    alphabetical order, so that equal architectures are equal values with equal digests.
    """

    space: str
    picks: tuple[tuple[str, tuple[str, ...]], ...] = attrs.field(converter=_canonical)

    @classmethod
    def join(cls, paths: Iterable[Genotype]) -> Genotype:
        """One genotype from the paths through consecutive blocks of one space."""
        parts = list(paths)
        return cls(space=parts[0].space, picks=[pick for part in parts for pick in part.picks])

    def __getitem__(self, place: str) -> tuple[str, ...]:
        """The candidates picked at `place`. Raises KeyError if the genotype has no such place."""
        for name, picked in self.picks:
            if name == place:
                return picked
        raise KeyError(place)

    @property
    def places(self) -> tuple[str, ...]:
        """The names of all places, in the space's order."""
        return tuple(name for name, _ in self.picks)

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name this architecture."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"schema": SCHEMA, "space": self.space, "picks": {name: list(picked) for name, picked in self.picks}}

    def to_json(self) -> str:
        """One line of JSON; `from_json` reads it back to an equal value."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: object) -> Genotype:
        """Reads what `to_dict` returned. Raises InputError that says what is wrong with `data`."""
        if not isinstance(data, dict):
            raise InputError(
                f"A genotype is a JSON object with 'schema', 'space' and 'picks', but this is {quote(data)}."
            )
        if (schema := data.get("schema")) != SCHEMA or isinstance(schema, bool):
            raise InputError(
                f"This genotype has schema {quote(schema)}; this version of nasplug reads schema {SCHEMA}."
            )
        space, picks = data.get("space"), data.get("picks")
        if not isinstance(space, str) or not isinstance(picks, dict):
            raise InputError("A genotype needs 'space' (a name) and 'picks' (an object from place to candidates).")
        for name, picked in picks.items():
            if not isinstance(picked, list) or not all(isinstance(candidate, str) for candidate in picked):
                raise InputError(
                    f"The picks of {quote(name)} must be a list of candidate names, but they are {quote(picked)}."
                )
        return cls(space=space, picks=picks)

    @classmethod
    def from_json(cls, text: str) -> Genotype:
        """Reads what `to_json` wrote. Raises InputError if `text` is anything else."""
        try:
            check_length(text)
            data = parse_json(text)
        except FormatError as error:
            raise InputError(f"This genotype is not JSON that can be read: {error}.") from error
        return cls.from_dict(data)
