"""Voicenter's Call Log and its CDR notifications, imitated from their documentation.

Sources: voicenter.com, API pages "Call Log (Version 0.1)", "Call Log" and "CDR Notification"; the vendor's own GitHub
VoicenterTeam/claude-marketplace, pages call-log, cdr-notification and authentication (2026). Unpublished behaviour is a
switch.
"""

from cdrctl.sandbox.voicenter.answers import ERRORS
from cdrctl.sandbox.voicenter.call_types import TYPES
from cdrctl.sandbox.voicenter.fields import CURRENT_FIELDS, SEED_FIELDS
from cdrctl.sandbox.voicenter.provider import Voicenter

__all__ = ["CURRENT_FIELDS", "ERRORS", "SEED_FIELDS", "TYPES", "Voicenter"]
