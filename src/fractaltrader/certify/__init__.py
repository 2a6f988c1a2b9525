"""The repaint certificate: does a target ever change what it said of a closed bar?"""

from fractaltrader.certify.certificate import Certificate, ColumnFindings, Lag, Offence
from fractaltrader.certify.events import certify_events
from fractaltrader.certify.replay import Plan, certify_readings
from fractaltrader.certify.targets import certify_engine, certify_function, certify_strategy

__all__ = [
    "Certificate",
    "ColumnFindings",
    "Lag",
    "Offence",
    "Plan",
    "certify_engine",
    "certify_events",
    "certify_function",
    "certify_readings",
    "certify_strategy",
]
