"""Smart Money Concepts, detected causally: what each fact is and the bar at which it is known."""

from fractaltrader.smc.batch import detect_events
from fractaltrader.smc.clauses import EngineParameters
from fractaltrader.smc.engine import SmcEngine
from fractaltrader.smc.events import Event, EventColumns, EventKind
from fractaltrader.smc.frame import detect
from fractaltrader.smc.profiles import PROFILES, engine_parameters

__all__ = [
    "PROFILES",
    "EngineParameters",
    "Event",
    "EventColumns",
    "EventKind",
    "SmcEngine",
    "detect",
    "detect_events",
    "engine_parameters",
]
