"""`space_from`: a search space from a network of one's own that holds `Choose` in some places."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar

import attrs
from torch import nn

from nasplug.errors import InputError, quote
from nasplug.parts import Choice, option
from nasplug.supernets.choice_space import NOMINAL, ChoiceSpace, Pick
from nasplug.supernets.choose import Choose, find_choices
from nasplug.supernets.outline import outline_network
from nasplug.values import ImageShape

SUPPLIED = ("image_channels", "classes", "size")
"""Parameters that the images of a run fill in; a network has to take the first two."""
WIDTH = "channels"
"""The option of a space that is the width of its networks."""


class ModuleSpace(ChoiceSpace):
    """All networks that `factory` makes, with one candidate in each `Choose`. Made by `space_from`.

    Each network is made anew, and so has weights of its own. Its choices must not depend on the options in
    `parameters`, nor on the images.
    """

    factory: ClassVar[Callable[..., nn.Module]]
    """Makes a module from images to logits, with choices in it."""
    supplied: ClassVar[tuple[str, ...]]
    """Those of SUPPLIED that it takes."""
    parameters: ClassVar[Mapping[str, str]]
    """Its other parameters, with the options that set them."""

    def make(self, shape: ImageShape) -> nn.Module:
        """The network with all candidates of its choices."""
        images = {"image_channels": shape.channels, "classes": shape.classes, "size": shape.size}
        options = {parameter: getattr(self, name) for parameter, name in self.parameters.items()}
        made = type(self).factory(**{name: images[name] for name in self.supplied}, **options)
        if not isinstance(made, nn.Module):
            raise InputError(f"{_name_of(type(self).factory)} has to make a torch module, but it makes {quote(made)}.")
        return nn.Sequential(made) if isinstance(made, Choose) else made  # so that the choice has a place in a module

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice for each `Choose`, or several of one name, in the order of the modules.

        Submodules with choices that follow one another from the images on, each reading what the one before gives, are
        blocks; all choices belong to block 0 where there are not several.
        """
        return _list_choices(type(self), tuple(getattr(self, name) for name in self.parameters.values()))

    def build(self, shape: ImageShape, pick: Pick) -> nn.Module:
        """The network with `pick` in the place of each choice."""
        module = self.make(shape)
        for place in reversed(find_choices(module)):  # those inside candidates first
            module.set_submodule(place.path, pick(place.name, place.choose.candidates.__getitem__))
        return module


def space_from(
    factory: Callable[..., nn.Module], *, name: str | None = None, channels: str | None = None
) -> type[ModuleSpace]:
    """See `nasplug.space_from`, which does just this, but imports torch only when it is called."""
    if not callable(factory) or isinstance(factory, nn.Module):
        raise InputError(
            f"space_from takes the class or function that makes a network, which is called anew for each network, but "
            f"got {type(factory).__name__}; hand over the class."
        )
    word = _name_of(factory)
    defaults = _read_parameters(factory, word)
    width = channels or (WIDTH if WIDTH in defaults else None)
    if width is not None and (width not in defaults or type(defaults[width]) is not int):
        raise InputError(f"{word} takes no parameter '{width}' with a whole number as default, to be its width.")
    parameters = {parameter: WIDTH if parameter == width else parameter for parameter in defaults}
    for parameter, named in parameters.items():
        reserved = hasattr(ModuleSpace, named) or named in ("part", "name", *ModuleSpace.__annotations__)
        if reserved or list(parameters.values()).count(named) > 1:
            raise InputError(
                f"The parameter '{parameter}' of {word} would be the option '{named}', which means something else; "
                f"rename it."
            )
    body: dict[str, Any] = {
        "__doc__": f"{word} with one candidate in each of its choices.",
        "__module__": getattr(factory, "__module__", __name__),
        "__annotations__": {named: type(defaults[parameter]) for parameter, named in parameters.items()},
        "name": name or word.lower(),
        "factory": staticmethod(factory),
        "supplied": tuple(each for each in SUPPLIED if each in inspect.signature(factory).parameters),
        "parameters": parameters,
    }
    for parameter, named in parameters.items():
        least = 1 if named == WIDTH else None
        body[named] = option(defaults[parameter], f"'{parameter}' of {word}", at_least=least)
    return attrs.define(type(f"{word}Space", (ModuleSpace,), body), slots=False)


@lru_cache(maxsize=64)
def _list_choices(cls: type[ModuleSpace], values: tuple[Any, ...]) -> tuple[Choice, ...]:
    space = cls(**dict(zip(cls.parameters.values(), values, strict=True)))
    word = _name_of(cls.factory)
    outline = outline_network(lambda: space.make(NOMINAL), NOMINAL, f"The network that {word} makes")
    if not outline.choices:
        raise InputError(
            f"The network that {word} makes has no nasplug.Choose in it, so there is nothing to search; put "
            f'nasplug.Choose({{"a": ..., "b": ...}}) where a module is to be chosen.'
        )
    pieces = [piece for piece in outline.pieces if piece.names]
    blocks = {
        choice.name: tuple(number for number, piece in enumerate(pieces) if choice.name in piece.names) or (0,)
        for choice in outline.choices
    }
    return tuple(
        Choice(choice.name, choice.candidates, at_most=1, blocks=blocks[choice.name], parent=choice.parent)
        for choice in outline.choices
    )


def _read_parameters(factory: Callable[..., nn.Module], word: str) -> dict[str, Any]:
    """The defaults of the parameters that become options."""
    parameters = inspect.signature(factory).parameters
    for needed in SUPPLIED[:2]:
        if needed not in parameters:
            raise InputError(
                f"{word} takes no parameter '{needed}', so it cannot be made for the images of a run; let it take "
                f"{' and '.join(repr(each) for each in SUPPLIED[:2])}, and 'size' (pixels) if it needs that."
            )
    defaults = {}
    for name, parameter in parameters.items():
        if name in SUPPLIED or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty:
            raise InputError(
                f"{word} needs a value for its parameter '{name}', which a run does not know; give it a default."
            )
        if isinstance(parameter.default, bool | int | float | str):
            defaults[name] = parameter.default
    return defaults


def _name_of(factory: Callable[..., nn.Module]) -> str:
    return getattr(factory, "__name__", type(factory).__name__)
