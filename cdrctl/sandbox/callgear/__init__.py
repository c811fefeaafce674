"""CallGear's Data API, imitated from its documentation and from reports of integrators.

Sources: callgear.github.io/data_api; the same engine's fuller documents at comagic.github.io/data_api (error texts,
filters, meta-parameters) and novofon.github.io/data_api; answers quoted by public connectors for the same engine.
Unpublished behaviour is a switch.
"""

from cdrctl.sandbox.callgear.errors import ERRORS
from cdrctl.sandbox.callgear.fields import CALL_FIELDS, COST_FIELDS, INSIDE, LEG_FIELDS, USER_FIELDS, Field
from cdrctl.sandbox.callgear.parameters import LARGEST_OFFSET
from cdrctl.sandbox.callgear.provider import CallGear

__all__ = [
    "CALL_FIELDS",
    "COST_FIELDS",
    "ERRORS",
    "INSIDE",
    "LARGEST_OFFSET",
    "LEG_FIELDS",
    "USER_FIELDS",
    "CallGear",
    "Field",
]
