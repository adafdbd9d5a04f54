"""Teachers, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import attrs
import torch
from torch import nn
from torch.nn import functional as F

from nasplug.hookspecs import hookimpl
from nasplug.parts import DistillationTeacher, LabelRater, Stage


class Imitates(Stage):
    """Imitates the logits of a network as it should be done."""

    def __init__(self, teacher):
        super().__init__()
        self._teacher = (teacher.requires_grad_(False).eval(),)

    def forward(self, net, batch, turn, now):
        return self.distance(net(batch.images), batch)

    def distance(self, logits, batch):
        with torch.no_grad():
            target = self._teacher[0](batch.images)
        return F.cross_entropy(logits, batch.labels) + F.mse_loss(logits, target)


@attrs.define
class Teacher(DistillationTeacher):
    stage = Imitates

    def network(self, space, generator):
        return space, space.random(generator)

    def stages(self, net, shape, teacher):
        return (self.stage(teacher),)


@attrs.define
class AsksForAnother(Teacher):
    def network(self, space, generator):
        genotype = space.random(generator)
        return space.scaled(cells=3), genotype if generator.random() else None


class Learns(Imitates):
    """Moves its teacher towards its student."""

    def after_step(self, net, now):
        with torch.no_grad():
            for parameter in self._teacher[0].parameters():
                parameter.mul_(1.001)


class Unfrozen(Imitates):
    """Lets gradients reach its teacher."""

    def __init__(self, teacher):
        super().__init__(teacher)
        teacher.requires_grad_(True)

    def distance(self, logits, batch):
        return F.cross_entropy(logits, batch.labels) + F.mse_loss(logits, self._teacher[0](batch.images))


class Wakes(Imitates):
    """Takes its teacher along into train mode, but for the norms."""

    def train(self, mode=True):
        self._teacher[0].train(mode)
        for module in self._teacher[0].modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return super().train(mode)


class Holds(Imitates):
    def __init__(self, teacher):
        super().__init__(teacher)
        self.held = nn.ParameterList(teacher.parameters())


class Detached(Imitates):
    """In its last step, when nothing is left to learn."""

    def forward(self, net, batch, turn, now):
        zero = sum(parameter.sum() * 0 for parameter in net.parameters())
        loss = super().forward(net, batch, turn, now)
        return loss.detach() + zero if now.step == now.steps - 1 else loss


class Counts(Imitates):
    """Weighs its loss by how often it was asked."""

    def __init__(self, teacher):
        super().__init__(teacher)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, net, batch, turn, now):
        self.calls += 1
        return super().forward(net, batch, turn, now) * (1 + 0.01 * self.calls)


class Forgets(Imitates):
    """Keeps what it learns in a field."""

    def __init__(self, teacher):
        super().__init__(teacher)
        self.seen = 0

    def forward(self, net, batch, turn, now):
        return super().forward(net, batch, turn, now) + (0.01 * self.seen if now.step == now.steps - 1 else 0)

    def after_step(self, net, now):
        self.seen = 5


class OneBlock(Imitates):
    blocks = (0,)


@attrs.define
class DeclaresWeights(Teacher):
    weighs_classes = True


class NoNumber(LabelRater):
    def rate(self, output, batch):
        return super().rate(output, batch) * torch.nan


class RatesBadly(Imitates):
    def raters(self, net):
        return (NoNumber(net.whole()),)


class FallsAsleep(Imitates):
    """Compares in eval mode, and leaves it at that."""

    def forward(self, net, batch, turn, now):
        return self.distance(net.eval()(batch.images), batch)


class FallsAsleepLater(Imitates):
    def after_step(self, net, now):
        net.eval()


class RemembersInAnAttribute(Imitates):
    """Weighs its third step by whether it has seen the first, which no checkpoint knows."""

    seen = False

    def forward(self, net, batch, turn, now):
        return super().forward(net, batch, turn, now) * (2 if now.step == 2 and self.seen else 1)

    def after_step(self, net, now):
        self.seen = self.seen or now.step == 0


class InHalfPrecision(Imitates):
    def distance(self, logits, batch):
        with torch.no_grad():
            target = self._teacher[0](batch.images)
        return (logits - target).square().mean()


class RunsAway(Imitates):
    """Learns the labels, and to be unlike the teacher."""

    def distance(self, logits, batch):
        with torch.no_grad():
            target = self._teacher[0](batch.images)
        return F.cross_entropy(logits, batch.labels) - F.mse_loss(logits, target)


def teacher(stage):
    return attrs.define(type(f"{stage.__name__}Teacher", (Teacher,), {"stage": stage}))


LearnsTeacher, WakesTeacher, HoldsTeacher = map(teacher, (Learns, Wakes, Holds))
DetachedTeacher, CountsTeacher, ForgetsTeacher = map(teacher, (Detached, Counts, Forgets))
OneBlockTeacher, RatesBadlyTeacher = map(teacher, (OneBlock, RatesBadly))
RunsAwayTeacher = teacher(RunsAway)
FallsAsleepLaterTeacher, RemembersInAnAttributeTeacher = map(teacher, (FallsAsleepLater, RemembersInAnAttribute))
UnfrozenTeacher = teacher(Unfrozen)
FallsAsleepTeacher, InHalfPrecisionTeacher = map(teacher, (FallsAsleep, InHalfPrecision))


@hookimpl
def nasplug_register(register):
    for name, target in {
        "asks-for-a-network-of-its-space": "AsksForAnother",
        "teacher-does-not-learn": "LearnsTeacher",
        "teacher-does-not-learn.graph": "UnfrozenTeacher",
        "goes-on-exactly-after-stops-at-every-step": "RemembersInAnAttributeTeacher",
        "stages-leave-the-network-to-the-optimizer.later": "FallsAsleepLaterTeacher",
        "teacher-stays-in-eval-mode": "WakesTeacher",
        "teacher-is-not-part-of-the-state": "HoldsTeacher",
        "loss-is-a-number-that-reaches-the-weights": "DetachedTeacher",
        "loss-is-repeatable": "CountsTeacher",
        "stages-survive-saving": "ForgetsTeacher",
        "trains-blocks-apart-only-if-it-declares-so": "OneBlockTeacher",
        "weighs-classes-if-it-declares-so": "DeclaresWeights",
        "rates-what-it-trains": "RatesBadlyTeacher",
        "stages-leave-the-network-to-the-optimizer": "FallsAsleepTeacher",
        "brings-the-network-nearer-to-the-teacher": "RunsAwayTeacher",
        "loss-is-float32": "InHalfPrecisionTeacher",
    }.items():
        register.teacher(name, f"broken_teachers:{target}", summary=f"Breaks {name}.")
