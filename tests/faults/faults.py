"""Every fault by its name. It begins when its context is entered and ends when that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import msgspec

from tests.faults import clocks, killing, outside, servers
from tests.faults.load import Load
from tests.faults.rig import Rig

Inflict: TypeAlias = Callable[[Rig, Load], AbstractAsyncContextManager[None]]

MODEL = frozenset({"model"})
SEND = frozenset({"send"})
DELIVERY = frozenset({"delivery"})
WORKER = frozenset({"worker"})


class Fault(msgspec.Struct, frozen=True):
    """One way to break it, which lasts `seconds`; of faults in one `part`, one at a time.

    `failures` are the stages at which it may leave a ReplyFailed; with `unknowable`, nobody can
    know whether a send went out. `apart` says that it goes with no other.
    """

    name: str
    part: str
    inflict: Inflict
    seconds: float = 4.0
    failures: frozenset[str] = frozenset()
    unknowable: bool = False
    apart: bool = False


def _killed(name: str, inflict: Inflict, *, unknowable: bool = False) -> Fault:
    return Fault(name, "service", inflict, 1.0, unknowable=unknowable, apart=True)


FAULTS = (
    Fault("no fault", "none", servers.nothing, apart=True),
    # kill -9
    Fault("API killed", "service", killing.api_killed, 2.0),
    _killed("API killed before its commit", killing.api_killed_before_commit),
    _killed("API killed after its commit, before its 200", killing.api_killed_after_commit),
    Fault("one worker of two killed", "service", killing.worker_killed, 3.0, unknowable=True),
    _killed("workers killed before the model's answer", killing.before_the_model_answers),
    _killed("workers killed before the reply's commit", killing.before_the_reply_commits),
    _killed("workers killed after the reply's commit", killing.after_the_reply_commits),
    _killed("workers killed before WhatsApp took it", killing.before_whatsapp_took_it),
    _killed("workers killed after WhatsApp took it", killing.after_whatsapp_took_it),
    _killed("workers killed after a send that no status tells of", killing.after_a_silent_send,
            unknowable=True),
    _killed("workers killed before the send's record", killing.before_the_send_is_recorded),
    Fault(
        "a message that kills its worker each time",
        "service",
        killing.poison,
        0.0,
        failures=WORKER,
        apart=True,
    ),
    Fault("rolling restart by SIGTERM", "service", killing.rolling_restart, 0.0),
    # PostgreSQL
    Fault("PostgreSQL stopped for 20 s", "postgresql", servers.postgres_stopped, 20.0),
    Fault("PostgreSQL restarted", "postgresql", servers.postgres_stopped, 0.0),
    Fault("PostgreSQL crashed", "postgresql", servers.postgres_crashed, 1.0),
    Fault("PostgreSQL's backends terminated", "postgresql", servers.backends_terminated, 6.0),
    Fault("PostgreSQL out of connections", "postgresql", servers.out_of_connections, 8.0),
    Fault("PostgreSQL out of disk", "postgresql", servers.out_of_disk, 10.0),
    Fault("a statement that hangs", "postgresql", servers.statement_hangs, 20.0),
    Fault("a backend that hangs in an append", "postgresql", servers.append_hangs, 20.0),
    # Redis
    Fault("Redis stopped", "redis", servers.redis_stopped, 8.0),
    Fault("Redis restarted empty", "redis", servers.redis_stopped, 0.0),
    Fault("Redis flushed", "redis", servers.redis_flushed, 1.0),
    Fault("Redis refuses writes", "redis", servers.redis_full, 8.0),
    Fault("Redis hangs", "redis", servers.redis_hangs, 8.0),
    # The model
    Fault("model slow", "model", outside.model_slow, 8.0),
    Fault("model down", "model", outside.model_down, 5.0, MODEL),
    Fault("model 429 with Retry-After", "model", outside.model_does("429:2"), 4.0, MODEL),
    Fault("model 500", "model", outside.model_does("500"), 4.0, MODEL),
    Fault("model cut off in its body", "model", outside.model_does("cut"), 4.0, MODEL),
    Fault("model answers no JSON", "model", outside.model_does("garbage"), 4.0, MODEL),
    Fault("model gives no choice", "model", outside.model_does("empty"), 4.0, MODEL),
    Fault("model writes 100,000 characters", "model", outside.model_does("long"), 3.0),
    # WhatsApp
    Fault("WhatsApp 429", "whatsapp", outside.whatsapp_does("429:1"), 4.0, SEND),
    Fault("WhatsApp 130429", "whatsapp", outside.whatsapp_does("code:130429"), 4.0, SEND),
    Fault("WhatsApp 131056", "whatsapp", outside.whatsapp_does("code:131056"), 4.0, SEND),
    Fault("WhatsApp 131047", "whatsapp", outside.whatsapp_does("code:131047"), 4.0, SEND),
    Fault("WhatsApp 131047 by a status", "whatsapp", outside.whatsapp_does("fails:131047"), 4.0,
          DELIVERY),
    Fault("WhatsApp 500", "whatsapp", outside.whatsapp_does("500"), 4.0, SEND),
    Fault("WhatsApp breaks off, nothing taken", "whatsapp", outside.whatsapp_does("cut"), 4.0,
          SEND),
    Fault("WhatsApp takes it and breaks off", "whatsapp",
          outside.whatsapp_does("accepted_then_cut"), 4.0),
    Fault("WhatsApp takes it and answers too late", "whatsapp",
          outside.whatsapp_does("accepted_then_stall:25"), 2.0),
    Fault("WhatsApp takes it in silence and answers too late", "whatsapp",
          outside.whatsapp_takes_in_silence, 2.0, SEND, unknowable=True, apart=True),
    # The clock
    Fault("clock an hour ahead, then right", "clock", clocks.stepped(3600), 5.0),
    Fault("clock an hour back, then right", "clock", clocks.stepped(-3600), 5.0),
    Fault("clock a minute back while workers are killed", "clock", clocks.back_over_a_kill, 1.0,
          unknowable=True, apart=True),
)  # fmt: skip


def named(names: Iterable[str]) -> list[Fault]:
    """The faults whose names hold one of these words. Raises LookupError where there is none."""
    wanted = [name.lower() for name in names]
    found = [f for f in FAULTS if any(word in f.name.lower() for word in wanted)]
    if not found:
        raise LookupError(f"No fault is called so. There are: {'; '.join(f.name for f in FAULTS)}")
    return found


def possible(rig: Rig) -> list[Fault]:
    """The faults that this machine lets us inflict."""
    impossible = set()
    if not rig.clock.can_step:
        impossible |= {f.name for f in FAULTS if f.part == "clock"}
    if not rig.has_small_disk:
        impossible.add("PostgreSQL out of disk")
    return [fault for fault in FAULTS if fault.name not in impossible]
