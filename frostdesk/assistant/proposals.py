"""What the model asked to put down in one reply, and what came of it. Pure."""

from __future__ import annotations

from itertools import chain

from frostdesk.assistant.completion import ToolCall
from frostdesk.assistant.prompt import Situation, describe_lesson
from frostdesk.assistant.tools import ASK_INSTRUCTOR, PROPOSE_BOOKING
from frostdesk.events import Lesson
from frostdesk.lessons.checking import (
    LessonRefusedError,
    LessonRequest,
    Refusal,
    propose_lesson,
)
from frostdesk.lessons.intent import claims_of_a_state, find_lesson
from frostdesk.wording.lines import (
    LessonState,
    handover_reply,
    lesson_line,
    nothing_there,
    refusal_line,
)

MOST_LESSONS = 10
"""Lessons that one reply may propose: a week's course and some more."""

LONGEST_REASON = 300
"""Characters of a reason that the instructor reads at a glance."""


class Proposals:
    """The lessons accepted so far, and those refused or found to be there already.

    `accepted` are new and in the order of their asking. None overlaps a confirmed lesson; one may
    overlap another, as only a confirmed lesson takes its time.
    `handover` is why the customer needs a person, if the model says so.
    """

    def __init__(self, situation: Situation) -> None:
        self.accepted: list[Lesson] = []
        self.handover: str | None = None
        self._situation = situation
        self._known = [b for b in situation.bookings if b[1] in ("pending", "confirmed")]
        self._restated: dict[Lesson, LessonState] = {}
        self._refused: list[list[LessonRefusedError]] = [[]]
        self._nothing_there = False

    def answer(self, call: ToolCall) -> str:
        """Carry out a tool call. Returns its result in words for the model, whatever was called."""
        if call.name == ASK_INSTRUCTOR:
            return self._hand_over((call.arguments or {}).get("reason"))
        if call.name != PROPOSE_BOOKING:
            return (
                f"There is no tool {call.name:.40}; there are {PROPOSE_BOOKING}, {ASK_INSTRUCTOR}."
            )
        if call.arguments is None:
            self._refused[-1].append(LessonRefusedError(Refusal.BAD_DATE))
            return "No lesson has been put down: the arguments are no JSON object. Call again."
        return self._propose(
            LessonRequest(
                date=call.arguments.get("date"),
                time=call.arguments.get("time"),
                duration=call.arguments.get("duration"),
            )
        )

    def begin_round(self) -> None:
        """A lesson that is accepted from here on puts right one that each round before refused."""
        self._refused.append([])

    def read(self, words: str) -> None:
        """Take a lesson from plain words, unless a tool call has settled the matter.

        Words that claim that something is confirmed, booked or cancelled do not stand alone: what
        is so is told beside them.
        """
        if not self._settled:
            today = self._situation.now.astimezone(self._situation.timezone).date()
            request = find_lesson(words, today=today)
            if request is not None:
                self._propose(request)
        if claims := claims_of_a_state(words):
            self._restate()
            self._nothing_there = claims.of_a_lesson and not self._settled

    def lines(self, language: str) -> list[str]:
        """What the customer must see of it: a line a lesson, or why there is none."""
        lines = [lesson_line(lesson, "proposed", language) for lesson in self.accepted]
        lines += [lesson_line(lesson, state, language) for lesson, state in self._restated.items()]
        others = bool(self.accepted)
        refused = chain.from_iterable(self._refused)
        refusals = [refusal_line(error, language, others=others) for error in refused]
        lines += dict.fromkeys(refusals)
        if self._nothing_there:
            lines.append(nothing_there(language))
        if self.handover:
            lines.append(handover_reply(language))
        return lines

    @property
    def _settled(self) -> bool:
        """Whether there is something to tell of a lesson."""
        return bool(self.accepted or self._restated or any(self._refused))

    def _restate(self) -> None:
        ahead = [known for known in self._known if known[0].ends_at > self._situation.now]
        for lesson, status in sorted(ahead, key=lambda known: known[0].starts_at)[:MOST_LESSONS]:
            self._restated[lesson] = _state(status)

    def _hand_over(self, reason: object) -> str:
        self.handover = str(reason or "").strip()[:LONGEST_REASON] or "no reason given"
        return "The instructor will write in person. The customer is told so by code; be brief."

    def _propose(self, request: LessonRequest) -> str:
        try:
            lesson = self._check(request, taken=())
            known = self._find_known(lesson)
            if known:
                return known
            self._check(request, taken=self._situation.taken)
        except LessonRefusedError as error:
            self._refused[-1].append(error)
            return f"Refused. {error}"
        return self._accept(lesson)

    def _check(self, request: LessonRequest, *, taken: tuple[Lesson, ...]) -> Lesson:
        situation = self._situation
        return propose_lesson(request, timezone=situation.timezone, now=situation.now, taken=taken)

    def _find_known(self, lesson: Lesson) -> str | None:
        """What to say of a lesson that is there already, from before or from this reply.

        It comes before the look at taken slots: a customer's own lesson is no obstacle to itself.
        """
        if any(_is_same(lesson, other) for other in self.accepted):
            return f"This lesson is put down already, once: {describe_lesson(lesson)}."
        for other, status in self._known:
            if _is_same(lesson, other):
                self._restated[other] = _state(status)
                return (
                    f"Nothing new has been put down. This customer has this lesson already,"
                    f" {status}: {describe_lesson(lesson)}."
                )
        return None

    def _accept(self, lesson: Lesson) -> str:
        if len(self.accepted) >= MOST_LESSONS:
            return (
                f"This lesson has not been put down: {MOST_LESSONS} are the most in one reply."
                " Ask the customer to write again about the others."
            )
        self.accepted.append(lesson)
        for earlier in filter(None, self._refused[:-1]):
            earlier.remove(max(earlier, key=lambda error: _likeness(error, lesson)))
        return (
            f"Put down as a proposal: {describe_lesson(lesson)}."
            " It waits for the instructor and is not confirmed."
        )


def _likeness(error: LessonRefusedError, lesson: Lesson) -> tuple[bool, bool]:
    """How likely it is that the lesson is what was meant by what was refused."""
    return error.date == lesson.date, error.time == lesson.time


def _state(status: str) -> LessonState:
    return "confirmed" if status == "confirmed" else "proposed"


def _is_same(lesson: Lesson, other: Lesson) -> bool:
    return (lesson.starts_at, lesson.ends_at) == (other.starts_at, other.ends_at)
