"""What remains to be done in a conversation, and who is doing it."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from frostdesk.events import RetryRequested
from frostdesk.store import claims
from frostdesk.store.append import EventStore, NewEvent
from frostdesk.store.claims import Claims
from frostdesk.store.database import Pool, create_pool
from frostdesk.store.usage import Usage
from frostdesk.store.work import Work, find_unfinished, load
from frostdesk.worker.steps import Send, next_step
from tests.factories import (
    AHEAD,
    confirmed,
    deleted,
    edited,
    failed,
    generated,
    lesson,
    new,
    proposed,
    received,
    sender,
    sent,
)


async def told(store: EventStore, pool: Pool, message: NewEvent, *events: NewEvent) -> Work:
    """The work in a conversation that begins with `message` and goes on with `events`."""
    (appended,) = await store.append([message])
    for event in events:
        await store.append([event], conversation_id=appended.conversation_id)
    found = (await loaded(pool, appended.conversation_id)).get(appended.conversation_id)
    assert found is not None
    return found


def claims_of(pool: Pool, holder: UUID) -> Claims:
    """The claims of a worker for whom no limit is near."""
    return Claims(pool, Usage(calls_per_minute=1000), holder=holder)


async def loaded(pool: Pool, *conversation_ids: UUID) -> dict[UUID, Work]:
    """The work in these conversations, for a worker who has seen no call."""
    return await load(pool, conversation_ids, Usage(calls_per_minute=1000))


async def claim(pool: Pool, conversation_id: UUID, holder: UUID) -> int | None:
    """Take a conversation; gives which attempt it is, or None."""
    mine = await claims_of(pool, holder).claim(conversation_id)
    return None if mine is None else mine.attempts


async def aged_claim(pool: Pool, conversation_id: UUID, seconds: int = 60) -> None:
    """Let a claim run out, as if its holder had been gone for so long."""
    await pool.execute(
        "UPDATE claims SET until = until - make_interval(secs => $2) WHERE conversation_id = $1",
        conversation_id,
        seconds,
    )


async def test_a_message_waits_for_an_answer(store: EventStore, pool: Pool) -> None:
    """A new message is work, and the history ends with it."""
    found = await told(store, pool, message := received("Hello"))
    assert [m.id for m in found.waiting] == [message.id]
    assert [entry.text for entry in found.history] == ["Hello"]
    assert not found.disclosed
    assert found.version == found.customer_version == 1


async def test_a_reaction_calls_for_nothing(store: EventStore, pool: Pool) -> None:
    """What is not answerable is in the history and is no work."""
    found = await told(store, pool, received("[reaction] 👍", kind="reaction", answerable=False))
    assert found.unfinished == ()
    assert len(found.history) == 1


async def test_a_sent_reply_is_done(store: EventStore, pool: Pool) -> None:
    """Nothing is left when the reply has been sent; what it disclosed is known then."""
    message = received()
    reply = generated(answers=(message.id,), disclosure=True)
    found = await told(store, pool, message, reply, sent(reply))
    assert found.unfinished == ()
    assert found.disclosed


async def test_a_disclosure_that_never_got_out_does_not_count(
    store: EventStore, pool: Pool
) -> None:
    """As long as the first reply has not been sent, the customer has not been told."""
    message = received()
    reply = generated(answers=(message.id,), disclosure=True)
    found = await told(store, pool, message, reply, failed(reply_id=reply.id, stage="send"))
    assert not found.disclosed


async def test_a_disclosure_that_was_accepted_and_then_failed_does_not_count(
    store: EventStore, pool: Pool
) -> None:
    """WhatsApp may take a reply and say later that it did not arrive."""
    message = received()
    reply = generated(answers=(message.id,), disclosure=True)
    failure = failed(reply_id=reply.id, stage="send")
    found = await told(store, pool, message, reply, sent(reply), failure)
    assert not found.disclosed


async def test_a_reply_that_failed_is_not_in_the_history(store: EventStore, pool: Pool) -> None:
    """The model does not see what the customer never received."""
    message = received("Hello")
    reply = generated("Lost words", answers=(message.id,))
    found = await told(store, pool, message, reply, failed(reply_id=reply.id, stage="send"))
    assert [entry.text for entry in found.history] == ["Hello"]


async def test_the_history_is_the_last_ten(store: EventStore, pool: Pool) -> None:
    """The last ten messages, oldest first, with the message that is answered."""
    found = await told(store, pool, *(received(f"{n}") for n in range(13)))
    assert [entry.text for entry in found.history] == [str(n) for n in range(3, 13)]
    assert len(found.waiting) == 13


async def test_a_deleted_text_is_gone(store: EventStore, pool: Pool) -> None:
    """Nothing that a worker sees has the words of a deleted message, and it needs no answer."""
    message = received("My secret")
    found = await told(store, pool, message, deleted(message))
    assert "secret" not in repr(found)
    assert [entry.text for entry in found.history] == ["[deleted]"]
    assert found.waiting == ()
    assert found.customer_version == 2


async def test_an_edited_text_is_the_new_one(store: EventStore, pool: Pool) -> None:
    """The model sees what the customer means now."""
    message = received("Saturday")
    found = await told(store, pool, message, edited(message, "Sunday"))
    assert [m.text for m in found.waiting] == ["Sunday"]


async def test_a_failure_is_no_work_until_it_is_retried(store: EventStore, pool: Pool) -> None:
    """A failed message waits for the instructor; after the retry it waits for an answer."""
    message = received()
    failure = failed(message.id)
    assert (await told(store, pool, message, failure)).waiting == ()
    again = new(RetryRequested(failed_id=failure.id, answers=(message.id,)))
    assert len((await told(store, pool, message, again)).waiting) == 1


async def test_taken_are_everybodys_confirmed_lessons(store: EventStore, pool: Pool) -> None:
    """The slots of all customers are known, and only confirmed ones."""
    (ben,) = await store.append([received(by=sender("4180"))])
    one, two = proposed(lesson(AHEAD)), proposed(lesson(AHEAD, minutes=60))
    await store.append([one, two, confirmed(one)], conversation_id=ben.conversation_id)
    found = await told(store, pool, received())
    assert [slot.duration for slot in found.taken] == [120]
    assert found.bookings == ()


async def test_lessons_ahead_are_kept_once_for_all_answers(store: EventStore, pool: Pool) -> None:
    """However many conversations are loaded, together or not, they share what is the same."""
    (ben,) = await store.append([received(by=sender("4180"))])
    (eva,) = await store.append([received(by=sender("4181"))])
    one = proposed(lesson(AHEAD))
    await store.append([one, confirmed(one)], conversation_id=ben.conversation_id)
    together = await loaded(pool, uuid4(), ben.conversation_id, eva.conversation_id)
    (alone,) = (await loaded(pool, eva.conversation_id)).values()
    (first, second) = together.values()
    assert first.taken == (lesson(AHEAD),)
    assert first.taken is second.taken is alone.taken


async def test_a_decision_is_known_however_many_lessons_there_are(
    store: EventStore, pool: Pool
) -> None:
    """A decision about the oldest of thirty lessons is among the work."""
    bookings = [proposed() for _ in range(30)]
    found = await told(store, pool, received(), *bookings, confirmed(bookings[0]))
    assert [b.id for b in found.bookings if b.unannounced] == [bookings[0].id]


async def test_a_lesson_ahead_is_known_however_many_have_passed(
    store: EventStore, pool: Pool
) -> None:
    """Of a regular customer whose lesson ahead was arranged before many that have passed."""
    ahead, passed = proposed(lesson(AHEAD)), lesson(date(2026, 1, 16))
    others = [proposed(passed) for _ in range(30)]
    found = await told(store, pool, received(), ahead, *others)
    assert ahead.id in {booking.id for booking in found.bookings}
    assert len(found.bookings) == 20


async def test_an_unknown_conversation_is_no_work(pool: Pool) -> None:
    """There is nothing to load where nobody has written."""
    assert await loaded(pool, uuid4()) == {}


# Claims


async def test_one_worker_has_a_conversation(pool: Pool) -> None:
    """A conversation is claimed by one holder until it is given back."""
    conversation_id, one, two = uuid4(), uuid4(), uuid4()
    assert await claim(pool, conversation_id, one) == 1
    assert await claim(pool, conversation_id, two) is None
    assert await claims_of(pool, one).release(conversation_id)
    assert await claim(pool, conversation_id, two) == 1


async def test_one_worker_takes_a_conversation_once(pool: Pool) -> None:
    """Of several jobs that ask at once one gets it; others get what they asked for meanwhile."""
    mine = claims_of(pool, uuid4())
    first, second = uuid4(), uuid4()
    asked = [first, second, first, first]
    found = await asyncio.gather(*(mine.claim(conversation_id) for conversation_id in asked))
    assert [had is not None for had in found] == [True, True, False, False]
    gone = await asyncio.gather(*(mine.release(i) for i in (first, second)))
    assert gone == [True, True]
    assert await pool.fetchval("SELECT count(*) FROM claims") == 0


async def test_two_workers_share_many_conversations_without_waiting_in_a_circle(
    database_url: str,
) -> None:
    """Whatever the order in which each asks, every conversation has one holder."""
    ids = [uuid4() for _ in range(200)]
    async with create_pool(database_url) as one, create_pool(database_url) as two:
        both = [claims_of(pool, uuid4()) for pool in (one, two)]
        for _ in range(5):
            taken = await asyncio.gather(
                *(both[0].claim(i) for i in ids), *(both[1].claim(i) for i in reversed(ids))
            )
            assert sum(mine is not None for mine in taken) == len(ids)
            await asyncio.gather(*(each.release(i) for each in both for i in ids))


async def test_a_claim_that_ran_out_is_taken_over_and_counted(pool: Pool) -> None:
    """Whoever takes over from holders that vanished knows how many there were."""
    conversation_id = uuid4()
    attempts = []
    for _ in range(4):
        attempts.append(await claim(pool, conversation_id, uuid4()))
        await aged_claim(pool, conversation_id)
    assert attempts == [1, 2, 3, 4]


async def test_a_renewed_claim_stays(pool: Pool) -> None:
    """Renewing keeps a claim, and makes it anew after a crash has wiped it out."""
    conversation_id, holder = uuid4(), uuid4()
    await claim(pool, conversation_id, holder)
    await aged_claim(pool, conversation_id)
    await claims.renew(pool, [conversation_id], holder=holder)
    assert await claim(pool, conversation_id, uuid4()) is None
    await pool.execute("DELETE FROM claims")
    await claims.renew(pool, [conversation_id], holder=holder)
    assert await claim(pool, conversation_id, uuid4()) is None


async def test_a_claim_lasts_no_longer_when_the_clock_is_set_back(pool: Pool) -> None:
    """A claim that seems to last for an hour is cut to what it may be, a short wait is not."""
    gone, waiting = uuid4(), uuid4()
    await claim(pool, gone, uuid4())
    await aged_claim(pool, gone, -3600)
    await claim(pool, waiting, holder := uuid4())
    soon = await pool.fetchval("SELECT clock_timestamp() + interval '1 min'")
    await claims.defer(pool, waiting, holder=holder, until=soon)
    await claims.renew(pool, [], holder=uuid4())
    rows = await pool.fetch("SELECT conversation_id, until - clock_timestamp() FROM claims")
    left = {row[0]: row[1] for row in rows}
    assert timedelta(seconds=10) < left[gone] <= timedelta(seconds=claims.CLAIM_SECONDS)
    assert left[waiting] > timedelta(seconds=claims.CLAIM_SECONDS)


async def test_a_reply_of_before_the_clock_was_set_back_is_found(
    store: EventStore, pool: Pool
) -> None:
    """A send without an outcome that lies an hour ahead is due, not in an hour and 20 s."""
    begun = await told(store, pool, received(), generated())
    await pool.execute("UPDATE messages SET status = 'answered' WHERE role = 'user'")
    assert await unfinished(pool, settle_after=20) == {}
    await pool.execute("UPDATE messages SET step_at = step_at + interval '1 hour'")
    assert list(await unfinished(pool, settle_after=20)) == [begun.conversation_id]
    (found,) = (await loaded(pool, begun.conversation_id)).values()
    assert isinstance(next_step(found, unsent=()), Send)


async def test_nobody_renews_the_claim_of_another(pool: Pool) -> None:
    """A claim that was taken over is not taken back by renewing."""
    conversation_id, slow, quick = uuid4(), uuid4(), uuid4()
    await claim(pool, conversation_id, slow)
    await aged_claim(pool, conversation_id)
    await claim(pool, conversation_id, quick)
    await claims.renew(pool, [conversation_id], holder=slow)
    assert await pool.fetchval("SELECT holder FROM claims") == quick


async def test_a_conversation_is_not_given_back_with_work_left(
    store: EventStore, pool: Pool
) -> None:
    """Whoever rang while the conversation was claimed is served by its holder."""
    (appended,) = await store.append([received()])
    conversation_id, holder = appended.conversation_id, uuid4()
    await claim(pool, conversation_id, holder)
    assert not await claims_of(pool, holder).release(conversation_id)


@pytest.mark.parametrize("left", [True, False])
async def test_a_pending_reply_is_work_unless_it_is_left(
    store: EventStore, pool: Pool, *, left: bool
) -> None:
    """A reply that waits for word of an earlier send may be left; another may not."""
    message = received()
    reply = generated(answers=(message.id,))
    found = await told(store, pool, message, reply)
    holder = uuid4()
    await claim(pool, found.conversation_id, holder)
    leaving = [reply.id] if left else []
    assert (await claims_of(pool, holder).release(found.conversation_id, leaving=leaving)) is left


# The sweep's question


async def unfinished(pool: Pool, settle_after: float = 0.0) -> dict[UUID, UUID]:
    """What the sweep would find."""
    return await find_unfinished(pool, limit=10, settle_after=settle_after)


async def test_the_sweep_finds_what_waits(store: EventStore, pool: Pool) -> None:
    """A waiting message is found with its conversation, unless somebody is at it."""
    found = await told(store, pool, message := received())
    assert await unfinished(pool) == {found.conversation_id: message.id}
    await claim(pool, found.conversation_id, uuid4())
    assert await unfinished(pool) == {}
    await aged_claim(pool, found.conversation_id)
    assert len(await unfinished(pool)) == 1


async def test_the_sweep_leaves_a_fresh_reply_alone(store: EventStore, pool: Pool) -> None:
    """A reply without an outcome is found only once it had time to be heard of."""
    message = received()
    await told(store, pool, message, generated(answers=(message.id,)))
    assert await unfinished(pool, timedelta(minutes=1).total_seconds()) == {}
    assert len(await unfinished(pool)) == 1


async def test_the_sweep_finds_an_untold_decision(store: EventStore, pool: Pool) -> None:
    """A decision that the customer has not been told of is found."""
    message, booking = received(), proposed()
    reply = generated(answers=(message.id,))
    decision = confirmed(booking)
    found = await told(store, pool, message, reply, sent(reply), booking, decision)
    assert await unfinished(pool) == {found.conversation_id: decision.id}


async def test_what_is_done_or_failed_is_not_found(store: EventStore, pool: Pool) -> None:
    """Nothing is found where everything is sent, or waits for the instructor."""
    message, other = received(), received(by=sender("4180"))
    reply = generated(answers=(message.id,))
    await told(store, pool, message, reply, sent(reply))
    await told(store, pool, other, failed(other.id))
    assert await unfinished(pool) == {}
