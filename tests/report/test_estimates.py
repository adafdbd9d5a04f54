from __future__ import annotations

from types import SimpleNamespace

from nasplug.report.estimates import describe_estimates
from nasplug.values import Unit


def test_estimates_are_told_beside_measurements():
    networks = [
        SimpleNamespace(estimates={"latency": estimate}, costs={"latency": cost})
        for estimate, cost in ((0.2, 0.25), (0.3, 0.3), (0.45, 0.5))
    ]
    result = SimpleNamespace(units={"params": Unit(whole=True), "latency": Unit("s", prefix="m")}, networks=networks)
    (sentence,) = describe_estimates(result)
    assert "200 us for 250 us, 300 us for 300 us, 450 us for 500 us" in sentence
    assert "The median error of an estimate is 10 %; their rank correlation (Spearman) is 1.00." in sentence
    networks.pop()
    assert "Spearman" not in describe_estimates(result)[0]
    assert describe_estimates(SimpleNamespace(units=result.units, networks=[])) == []
