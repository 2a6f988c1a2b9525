"""Smart Money Concepts, detected causally: what each fact is and the bar at which it is known."""

from fractaltrader.smc.engine import SmcEngine, detect
from fractaltrader.smc.events import Event, EventColumns, EventKind
from fractaltrader.smc.parameters import EngineParameters

__all__ = ["EngineParameters", "Event", "EventColumns", "EventKind", "SmcEngine", "detect"]
