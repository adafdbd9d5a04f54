"""Genotypes of a space: written, read, drawn and refused."""

from __future__ import annotations

from random import Random

from nasplug.errors import InputError
from nasplug.parts import Choices
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.checks.spaces.samples import SHAPE, genotypes, refused
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.tiny_search import global_generators
from nasplug.values import Genotype


@check("space")
def genotypes_survive_json(case: Case) -> None:
    """A genotype that went through JSON is the same genotype, and names the space.

    What JSON changes, such as numbers for names, makes a result that cannot be built again.
    """
    space = case.once(space_of)
    for genotype in case.once(genotypes):
        require(
            genotype.space == space.name,
            f"a genotype says that it belongs to the space '{genotype.space}', but the space is '{space.name}'",
            "build genotypes with Genotype(self.name, ...)",
        )
        try:
            same = Genotype.from_json(genotype.to_json()) == genotype
        except (InputError, TypeError) as error:
            raise Failed(f"{genotype.picks!r:.100} does not survive: {error}", "pick words, in tuples") from error
        require(same, f"{genotype.to_json():.100} comes back changed", "pick words, in tuples")


@check("space")
def parses_what_it_writes(case: Case) -> None:
    """`parse` reads the JSON of the space's own genotypes.

    A notation that is written and never read back is found out when a run is reported or retrained.
    """
    for genotype in case.once(genotypes):
        parsed = case.once(space_of).parse(genotype.to_json())
        require(parsed == genotype, f"{genotype.to_json():.100} is read as {parsed.to_json():.100}", "mend parse")


@check("space")
def accepts_its_own_genotypes(case: Case) -> None:
    """`check` accepts whatever `random` and `mutate` give.

    An architecture that the space draws and then refuses ends a run after its search.
    """
    for genotype in case.once(genotypes):
        try:
            case.once(space_of).check(genotype)
        except InputError as error:
            raise Failed(
                f"its own {genotype.to_json():.120} is refused: {error}", "mend check, random or mutate"
            ) from error


@check("space")
def refuses_foreign_genotypes(case: Case) -> None:
    """`check` refuses what is no architecture of the space, and `parse` what is no genotype, in a sentence.

    A genotype of another space, or with a missing or unknown operation, would be built as some other network.
    """
    space, genotype = case.once(space_of), case.once(genotypes)[0]
    (first, _), *rest = genotype.picks
    foreign = {
        "a genotype of another space": Genotype("another-space", genotype.picks),
        "a genotype with an unknown candidate": Genotype(genotype.space, [(first, ("no-such-word",)), *rest]),
        "a genotype that lacks a place": Genotype(genotype.space, rest),
        "a genotype with a place too many": Genotype(genotype.space, [*genotype.picks, ("no-such-place", ("x",))]),
        "a genotype without picks": Genotype(genotype.space, {}),
    }
    for what, one in foreign.items():
        refused(lambda one=one: space.check(one), what)  # type: ignore[misc]
    refused(lambda: space.parse("?!"), "the text '?!'")


@check("space")
def draws_from_the_generator_given(case: Case) -> None:
    """`random` and `mutate` are functions of their generator alone.

    With a generator of their own, or Python's global one, a search cannot be repeated.
    """
    space = case.once(space_of)
    before = global_generators()
    drawn = [space.random(Random(seed)) for seed in range(12)]
    changed = [space.mutate(drawn[0], Random(seed)) for seed in range(12)]
    after = global_generators()
    remedy = "use the generator that is handed in, and nothing else"
    require(before == after, "a global generator is used", remedy)
    require(
        drawn == [space.random(Random(seed)) for seed in range(12)]
        and changed == [space.mutate(drawn[0], Random(seed)) for seed in range(12)],
        "the same generator gives another genotype the second time",
        remedy,
    )
    require(len(set(drawn)) > 1, "twelve generators give one and the same architecture", remedy)


@check("space")
def mutates_to_another_architecture(case: Case) -> None:
    """`mutate` changes something.

    Where mutations give the same architecture back, a search among neighbours stands still and does not say so.
    """
    drawn = case.once(genotypes)
    count = len(drawn) // 2
    same = sum(one == other for one, other in zip(drawn[:count], drawn[count:], strict=True))
    require(same <= count // 2, f"{same} of {count} mutations give the same architecture back", "mend mutate")


@check("space")
def encode_and_decode_agree(case: Case) -> None:
    """Decoding the candidates that a genotype is encoded to gives the genotype.

    If not, what is rated or sampled in the supernet is another architecture than the one that is retrained.
    """
    space = case.once(space_of)
    choices = Choices(space.choice_list())
    for genotype in case.once(genotypes):
        mask = space.encode(genotype, choices)
        with choices.only(mask):
            decoded = space.decode(choices, mask.float())
        require(
            decoded == genotype,
            f"{genotype.to_json():.120} is encoded and decoded to {decoded.to_json():.120}",
            "make encode and decode inverse to each other",
        )


@check("space")
def paths_are_as_many_as_they_say(case: Case) -> None:
    """`paths` lists as many distinct paths as it counts, and draws from these.

    Rating all paths of a block, and saying how many of all were rated, rely on the count.
    """
    space = case.once(space_of)
    several = 1 + max((number for choice in space.choice_list() for number in choice.blocks), default=0)
    shared = any(len(choice.blocks) > 1 for choice in space.choice_list())
    looked = 0
    for block in [None] if shared else [None, *range(several)]:
        paths = space.paths(block)
        if paths.count > 3000:
            continue
        looked += 1
        every = list(paths.every())
        where = "the network" if block is None else f"block {block}"
        require(
            len(every) == len(set(every)) == paths.count,
            f"{paths.count} paths are counted through {where}, but {len(set(every))} different ones listed",
            "mend Paths.count or Paths.every",
        )
        require(
            paths.sample(Random(0)) in every, f"a path is drawn through {where} that is not listed", "mend Paths.draw"
        )
    if not looked:
        raise NotApplicable("there are too many paths to list")


@check("space")
def paths_join_to_architectures(case: Case) -> None:
    """Paths through all blocks join to an architecture, and their costs add up to its cost or a little more.

    A budget that is kept block by block must hold for the network that is built.
    """
    space = case.once(space_of)
    choices = space.choice_list()
    if any(len(choice.blocks) > 1 for choice in choices):
        raise NotApplicable("its blocks share their choices")
    count = 1 + max((number for choice in choices for number in choice.blocks), default=0)
    for seed in range(4):
        generator = Random(seed)
        paths = [space.paths(block if count > 1 else None).sample(generator) for block in range(count)]
        genotype = Genotype.join(paths)
        try:
            space.check(genotype)
        except InputError as error:
            raise Failed(f"joined paths are refused: {error}", "let paths give every place of their block") from error
        befores = [None, *paths[:-1]]
        costs = [
            space.path_cost(block, path, before, SHAPE)
            for block, (path, before) in enumerate(zip(paths, befores, strict=True))
        ]
        total, cost = sum(each.params for each in costs), space.cost(genotype, SHAPE).params
        require(
            cost <= total <= 1.5 * cost + 1000,
            f"the blocks of {genotype.to_json():.80} cost {total} parameters, the network {cost}",
            "count in path_cost what network builds; the stem to the first block, the head to the last",
        )


@check("space")
def draws_what_it_holds(case: Case) -> None:
    """Every drawing names its nodes, and each edge goes from an earlier node to a later one.

    A report cannot lay out an edge to nowhere.
    """
    for genotype in case.once(genotypes):
        drawings = case.once(space_of).drawings(genotype)
        require(bool(drawings), "nothing is drawn", "return a drawing for each distinct cell")
        for drawing in drawings:
            places = {node: number for number, node in enumerate(drawing.nodes)}
            for edge in drawing.edges:
                fine = edge.source in places and edge.target in places and places[edge.source] < places[edge.target]
                require(
                    fine,
                    f"'{drawing.title}' has an edge from '{edge.source}' to '{edge.target}' among the nodes "
                    f"{', '.join(drawing.nodes)}",
                    "list all nodes in topological order",
                )
