"""Methods, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import attrs

from nasplug.builtin.optimizers.random_search import RandomSearch
from nasplug.hookspecs import hookimpl
from nasplug.values import Method

PRESETS = {"laptop": {"optimizer": {"samples": 2}}}


@attrs.define
class Finds(RandomSearch):
    """Finds what its space refuses to build."""

    def decide(self, search_state):
        for event in RandomSearch.decide(self, search_state):
            yield attrs.evolve(event, genotype=attrs.evolve(event.genotype, picks=event.genotype.picks[:-1]))


NO_PRESETS = Method("has-presets", space="toy", optimizer="random", presets={"quick": PRESETS["laptop"]})
UNKNOWN_OPTION = Method(
    "fits-together-in-every-preset",
    space="toy",
    optimizer="random",
    presets={"laptop": PRESETS["laptop"], "paper": {"optimizer": {"smaples": 2}}},
)
OTHERWISE = Method("other", space="toy", optimizer="random", presets=PRESETS)
NOTHING = Method("finds-architectures-of-its-space", space="toy", optimizer="finds", presets=PRESETS)


@hookimpl
def nasplug_register(register):
    register.space("toy", "nasplug.testing.toy:Toy", summary="Toy.")
    register.optimizer("finds", "broken_methods:Finds", summary="Finds.")
    for name, target in {
        "has-presets": "NO_PRESETS",
        "is-registered-by-its-own-name": "OTHERWISE",
        "fits-together-in-every-preset": "UNKNOWN_OPTION",
        "finds-architectures-of-its-space": "NOTHING",
    }.items():
        register.method(name, f"broken_methods:{target}", summary=f"Breaks {name}.")
