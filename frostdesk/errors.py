"""What can go wrong, in three kinds by what happens next: refuse, try again, give up."""


class FrostDeskError(Exception):
    """Something that FrostDesk knows how to answer. Its text says what happened and what to do."""


class RefusedError(FrostDeskError):
    """A request that must not be carried out; asking again in the same way will not help."""

    status = 400
    title = "The request was refused"


class UnauthorizedError(RefusedError):
    """A request without a valid token or signature."""

    status = 401
    title = "Not authorized"


class NotFoundError(RefusedError):
    """Something that does not exist."""

    status = 404
    title = "Not found"


class TooSlowError(RefusedError):
    """A request that did not come in time."""

    status = 408
    title = "Too slow"


class ConflictError(RefusedError):
    """A command that the state of things forbids, such as confirming a cancelled booking."""

    status = 409
    title = "Conflict"


class PackedOtherwiseError(RefusedError):
    """A body in an encoding that is not unpacked here."""

    status = 415
    title = "Unsupported encoding"


class VersionConflictError(ConflictError):
    """The stream has moved on since the version that the append expected."""


class TryAgainError(FrostDeskError):
    """A failure that may pass: a time-out, a lost connection, an overload.

    `after` is how many seconds the other side asked us to wait, where it said so.
    """

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class OutcomeUnknownError(FrostDeskError):
    """A request that may have been carried out: it left, and no answer came back."""


class GiveUpError(FrostDeskError):
    """A failure that trying again will not mend; a person has to look.

    `code` is the other side's own error code, where it gave one.
    """

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class ConfigurationError(FrostDeskError):
    """Variables that are missing or malformed. The text names every one of them."""
