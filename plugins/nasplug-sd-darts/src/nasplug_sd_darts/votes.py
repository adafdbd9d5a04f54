"""Combines the logits of several teachers to one prediction, and measures a student's distance from it.

The paper aggregates the output probabilities of the teachers by voting; the four ways of doing so here are inferred.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

VOTES = ("soft", "logit-mean", "hard", "confidence")
DIRECTIONS = ("teacher-student", "student-teacher")
TINIEST = torch.finfo(torch.float32).tiny


def vote(logits: Tensor, kind: str, temperature: float) -> Tensor:
    """The joint prediction of teachers with logits (teachers, N, classes): probabilities (N, classes).

    With p_s = softmax(z_s / T) of teacher s:

    - "soft": the mean of all p_s;
    - "logit-mean": softmax of the mean of all z_s / T;
    - "hard": probability 1 for the class that most teachers predict, ties decided by the mean of all p_s;
    - "confidence": the mean of all p_s, each weighted by its largest probability.
    """
    softened = logits / temperature
    if kind == "logit-mean":
        return softened.mean(0).softmax(-1)
    probabilities = softened.softmax(-1)
    if kind == "confidence":
        confidence = probabilities.amax(-1, keepdim=True)
        return (confidence * probabilities).sum(0) / confidence.sum(0)
    mean = probabilities.mean(0)
    if kind == "soft":
        return mean
    classes = logits.shape[-1]
    ballots = F.one_hot(logits.argmax(-1), classes).sum(0)
    # The mean is at most 1, so half of it decides between equal counts but never changes their order.
    return F.one_hot((ballots + mean / 2).argmax(-1), classes).to(logits.dtype)


def divergence(logits: Tensor, predicted: Tensor, temperature: float, direction: str) -> Tensor:
    """KL divergence of the student's softmax(logits / T) and the teachers' `predicted`, (N, classes) each; a scalar.

    Summed over classes, averaged over the batch. "teacher-student" is KL(teachers || student), the usual one;
    "student-teacher" is KL(student || teachers).
    """
    student = F.log_softmax(logits / temperature, -1)
    if direction == "teacher-student":
        return F.kl_div(student, predicted, reduction="batchmean")
    return F.kl_div(predicted.clamp_min(TINIEST).log(), student, reduction="batchmean", log_target=True)
