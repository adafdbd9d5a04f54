"""How well the order of architectures that a search has left predicts the errors of networks."""

from __future__ import annotations

from nasplug.report.ranking.page import LEGEND, agreement_table, write_ranking_page
from nasplug.report.ranking.ranking import Ranking, read_ranking

__all__ = ["LEGEND", "Ranking", "agreement_table", "read_ranking", "write_ranking_page"]
