"""The training of every phase: its loss, and the errors that it reported while it trained."""

from __future__ import annotations

from markupsafe import Markup

from nasplug.report.charts import Curve, draw_errors, draw_losses
from nasplug.report.number_format import format_count, format_epochs
from nasplug.report.run_record import RunRecord


def draw_training_curves(record: RunRecord) -> list[tuple[Markup, str]]:
    """Charts with their captions: one group for each phase, and one for all networks in training."""
    phases = {name: phase for name, phase in record.phases.items() if "/" not in name}
    groups = [(name, [Curve("", phase)]) for name, phase in phases.items()]
    networks = _network_curves(record)
    groups += [("retraining", networks)] if networks else []
    charts = []
    for number, (title, curves) in enumerate(groups):
        steps = max(curve.phase.steps for curve in curves)
        epochs = max(curve.phase.epochs for curve in curves)
        caption = f"{title}: {format_count(steps)} steps, {format_epochs(epochs)}"
        caption += f"; {_explain_lines(record)}" if curves is networks else ""
        charts.append((draw_losses(f"loss{number}", f"Loss of {title}", curves), caption))
        for measure in ("train_error", "val_error"):
            measured = [curve for curve in curves if measure in curve.phase.columns]
            if measured:
                svg = draw_errors(f"{measure}{number}", f"Errors of {title}", measured, measure)
                charts.append((svg, f"{title}, while it trained"))
    return charts


def _network_curves(record: RunRecord) -> list[Curve]:
    """Networks in training: a random one has the colour of the found one that it is matched to, others their own.

    Candidates of a tournament, trainings on folds and those for a selector are left out, since there are many.
    """
    found = [network.id for network in record.result.networks if network.found]
    colours = {name: number for number, name in enumerate(found)}
    curves = []
    for phase_name, phase in record.phases.items():
        kind, _, name = phase_name.partition("/")
        if not name or kind in ("tournament", "folds", "fine-tuning", "trial"):
            continue
        network = record.result.network(name)
        partner = network.matched_to if network and network.matched_to and kind == "baseline" else name
        label = "" if kind == "baseline" and partner in colours else name
        if network and network.reference:
            label = f"{network.reference} ({name})"
        curves.append(Curve(label, phase, colours.setdefault(partner, len(colours)), dashed=kind != "retrain"))
    return curves


def _explain_lines(record: RunRecord) -> str:
    others = ", or a reference network" if any(name.startswith("reference/") for name in record.phases) else ""
    return f"solid: found, dashed: the random network matched to it{others}"
