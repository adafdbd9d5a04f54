"""Checks of genotypes: written, parsed, sampled, mutated, encoded, drawn and refused."""

from __future__ import annotations

from functools import partial
from random import Random

from nasplug.errors import InputError
from nasplug.parts import Choices
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.checks.spaces.samples import SHAPE, genotypes, require_refusal
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.tiny_search import global_generators
from nasplug.values import Genotype


@check("space")
def genotypes_survive_json(case: Case) -> None:
    """A genotype is equal to itself after a round trip through JSON, and names its space.

    What JSON changes, for example tuples and numbers as keys, makes a result that cannot be built again.
    """
    space = case.once(space_of)
    for genotype in case.once(genotypes):
        require(
            genotype.space == space.genotype_space,
            f"a genotype says that it belongs to the space '{genotype.space}', but the space has genotypes of "
            f"'{space.genotype_space}'",
            "build genotypes with Genotype(self.genotype_space, ...)",
        )
        try:
            same = Genotype.from_json(genotype.to_json()) == genotype
        except (InputError, TypeError) as error:
            raise Failed(f"{genotype.picks!r:.100} does not survive: {error}", "pick strings, in tuples") from error
        require(same, f"{genotype.to_json():.100} comes back changed", "pick strings, in tuples")


@check("space")
def parses_what_it_writes(case: Case) -> None:
    """`parse` reads the JSON of the space's own genotypes.

    If it does not, that shows only when the run is reported or its networks are retrained.
    """
    for genotype in case.once(genotypes):
        parsed = case.once(space_of).parse(genotype.to_json())
        require(parsed == genotype, f"{genotype.to_json():.100} is read as {parsed.to_json():.100}", "fix parse")


@check("space")
def accepts_its_own_genotypes(case: Case) -> None:
    """`check` accepts everything that `random` and `mutate` return.

    An architecture that the space samples and then refuses ends a run after its search.
    """
    for genotype in case.once(genotypes):
        try:
            case.once(space_of).check(genotype)
        except InputError as error:
            raise Failed(
                f"its own {genotype.to_json():.120} is refused: {error}", "fix check, random or mutate"
            ) from error


@check("space")
def refuses_foreign_genotypes(case: Case) -> None:
    """`check` refuses what is no architecture of the space, and `parse` what is no genotype, with an InputError.

    Otherwise a genotype of another space, or with a missing or unknown operation, is built as some other network.
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
    for what, wrong in foreign.items():
        require_refusal(partial(space.check, wrong), what)
    require_refusal(lambda: space.parse("?!"), "the text '?!'")


@check("space")
def draws_from_the_generator_given(case: Case) -> None:
    """`random` and `mutate` depend on no random generator but the one that is passed.

    With a generator of their own, or Python's global one, a search cannot be repeated.
    """
    space = case.once(space_of)
    before = global_generators()
    sampled = [space.random(Random(seed)) for seed in range(12)]
    mutated = [space.mutate(sampled[0], Random(seed)) for seed in range(12)]
    after = global_generators()
    remedy = "use the generator that is passed, and no other"
    require(before == after, "a global generator is used", remedy)
    require(
        sampled == [space.random(Random(seed)) for seed in range(12)]
        and mutated == [space.mutate(sampled[0], Random(seed)) for seed in range(12)],
        "the same generator gives another genotype the second time",
        remedy,
    )
    require(len(set(sampled)) > 1, "twelve generators give one and the same architecture", remedy)


@check("space")
def mutates_to_another_architecture(case: Case) -> None:
    """`mutate` returns another architecture than it is given, in at least half of all cases.

    If mutations return the same architecture, an evolutionary search stands still without saying so.
    """
    samples = case.once(genotypes)
    count = len(samples) // 2
    same = sum(genotype == mutated for genotype, mutated in zip(samples[:count], samples[count:], strict=True))
    require(same <= count // 2, f"{same} of {count} mutations return the same architecture", "fix mutate")


@check("space")
def encode_and_decode_agree(case: Case) -> None:
    """`decode` of the candidates that `encode` gives for a genotype returns that genotype.

    If not, the architecture that is rated or sampled in the supernet is not the one that is retrained.
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
    """`paths` lists exactly as many distinct paths as it counts, and samples from these.

    Rating all paths of a block, and reporting which share of them was rated, rely on the count.
    """
    space = case.once(space_of)
    blocks = 1 + max((number for choice in space.choice_list() for number in choice.blocks), default=0)
    shared = any(len(choice.blocks) > 1 for choice in space.choice_list())
    listed = 0
    for block in [None] if shared else [None, *range(blocks)]:
        paths = space.paths(block)
        if paths.count > 3000:
            continue
        listed += 1
        every = list(paths.enumerate())
        where = "the network" if block is None else f"block {block}"
        require(
            len(every) == len(set(every)) == paths.count,
            f"{paths.count} paths are counted through {where}, but {len(set(every))} different ones listed",
            "fix Paths.count or Paths.enumerate",
        )
        require(
            paths.sample(Random(0)) in every,
            f"a path is sampled through {where} that is not listed",
            "fix Paths.sample",
        )
    if not listed:
        raise NotApplicable("there are too many paths to list")


@check("space")
def paths_join_to_architectures(case: Case) -> None:
    """Paths through all blocks join to an architecture, and their costs add up to its cost or slightly more.

    A budget that is checked block by block must also hold for the network that is built.
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
            raise Failed(f"joined paths are refused: {error}", "let paths name every place of their block") from error
        befores = [None, *paths[:-1]]
        costs = [
            space.path_cost(block, path, before, SHAPE)
            for block, (path, before) in enumerate(zip(paths, befores, strict=True))
        ]
        total, exact = sum(cost.params for cost in costs), space.cost(genotype, SHAPE).params
        require(
            exact <= total <= 1.5 * exact + 1000,
            f"the blocks of {genotype.to_json():.80} cost {total} parameters, the network {exact}",
            "count in path_cost what network builds: the stem in the first block, the head in the last",
        )


@check("space")
def draws_what_it_holds(case: Case) -> None:
    """Every drawing lists all of its nodes, and each edge goes from an earlier node to a later one.

    A report cannot place an edge whose nodes are missing.
    """
    for genotype in case.once(genotypes):
        drawings = case.once(space_of).drawings(genotype)
        require(bool(drawings), "nothing is drawn", "return a drawing for each distinct cell")
        for drawing in drawings:
            places = {node: number for number, node in enumerate(drawing.nodes)}
            for edge in drawing.edges:
                known = edge.source in places and edge.target in places
                require(
                    known and places[edge.source] < places[edge.target],
                    f"'{drawing.title}' has an edge from '{edge.source}' to '{edge.target}' among the nodes "
                    f"{', '.join(drawing.nodes)}",
                    "list all nodes in topological order",
                )
