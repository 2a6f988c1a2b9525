"""Charts: one page of candles, structure, zones and trades, as they were known bar by bar."""

from fractaltrader.chart.engine import engine_facts
from fractaltrader.chart.facts import Fact
from fractaltrader.chart.page import chart_page

__all__ = ["Fact", "chart_page", "engine_facts"]
