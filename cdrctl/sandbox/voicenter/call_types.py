"""The types of calls, and their meaning."""

from __future__ import annotations

TYPES = {
    1: "Incoming Call",
    4: "Extension Outgoing",
    8: "Queue",
    9: "Click2Call leg1",
    10: "Click2Call leg2",
    11: "VoiceMail",
    13: "XferCDR",
    14: "ProductiveCall Leg1",
    15: "ProductiveCall Leg2",
    17: "Click 2 IVR",
    18: "Click 2 IVR Incoming",
    19: "Click 2 Queue Incoming",
    21: "Attended CDR leg1",
    22: "Attended CDR leg2",
    23: "Auto forward",
}
"""Today's call types, by their number."""

SEED_TYPES = ("CC", "Callference", "Scrubber", "FaxCdr")
"""Call types of version 0.1 that have no number today."""

INCOMING, OUTGOING, QUEUED, VOICE_MAIL, TRANSFERRED = 1, 4, 8, 11, 13
CLICK, PRODUCTIVE, TO_IVR, TO_QUEUE = (9, 10), (14, 15), (17, 18), (17, 19)
CONSULTED, FORWARDED = (21, 22), 23

DIALER = {14, 15, 17, 18, 19}
"""Types of calls that a dialer makes."""

QUEUE_TYPES = {8, 19}
"""Types of calls that wait in a queue."""

DIRECTIONS = {
    **dict.fromkeys((1, 8, 11, 18, 19, 22), "incoming"),
    **dict.fromkeys((4, 10, 15, 23), "outgoing"),
    **dict.fromkeys((9, 13, 14, 17, 21), "internal"),
}
