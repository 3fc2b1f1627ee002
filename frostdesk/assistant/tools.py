"""The tools that the model is offered."""

from __future__ import annotations

from typing import Any

PROPOSE_BOOKING = "propose_booking"
ASK_INSTRUCTOR = "ask_instructor"

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": PROPOSE_BOOKING,
            "description": (
                "Put a lesson down as a proposal for the instructor to confirm. Call it as soon as"
                " the customer has named a day, a time and a length, once per lesson. The result"
                " says whether the proposal was put down or why not. It confirms nothing."
            ),
            "parameters": {
                "type": "object",
                "properties": {
                    "date": {
                        "type": "string",
                        "description": (
                            "Day of the lesson, YYYY-MM-DD with its weekday in front, copied from"
                            " the list of days where it is there: Friday 2027-01-15"
                        ),
                    },
                    "time": {
                        "type": "string",
                        "description": "Start on the business's clock, 24-hour HH:MM: 14:30",
                    },
                    "duration": {
                        "type": "integer",
                        "description": "Length in minutes: 90 for one and a half hours",
                    },
                },
                "required": ["date", "time", "duration"],
                "additionalProperties": False,
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": ASK_INSTRUCTOR,
            "description": (
                "Hand the conversation over to the instructor in person. Call it when the customer"
                " asks for a person, is hurt or in danger, or complains."
            ),
            "parameters": {
                "type": "object",
                "properties": {
                    "reason": {
                        "type": "string",
                        "description": "Why, in a few words for the instructor",
                    },
                },
                "required": ["reason"],
                "additionalProperties": False,
            },
        },
    },
]
