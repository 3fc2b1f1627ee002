"""The whole story, played through the customer's page and the instructor's."""

from __future__ import annotations

from aiohttp.test_utils import TestServer

from tests.desk.browser import Browser, Page
from tests.desk.proxy import Proxy
from tests.desk.scene import ANA, JONAS, Customers, open_desk
from tests.support.programs import Program, Programs
from tests.support.waiting import until

WISH = "Hello! A lesson on Saturday at 10 for two hours?"


async def test_from_a_first_message_to_a_confirmed_lesson(
    browser: Browser, desk: Page, worker: Program, simulated_whatsapp: TestServer
) -> None:
    """A customer writes on the phone page; the desk shows it, confirms, and the phone is told."""
    await desk.sees(".pane.list .nothing", "Nobody has written yet")
    phone = await browser.open(str(simulated_whatsapp.make_url("/")))
    await phone.click("#new")
    await phone.type("#text", WISH)
    await phone.press("Enter")

    await desk.click(".conversations a", "lesson on Saturday")
    await desk.sees(".bubble[data-author=customer]", WISH)
    await desk.sees(".bubble[data-author=assistant]", "AI assistant")
    await desk.sees(".tick .read")
    await phone.sees("#chat li:not(.own)", "proposed")

    await desk.click(".pane.lessons .card button", "Confirm")
    await desk.sees("dialog[open]", "Confirm this lesson?")
    await desk.click("dialog button", "Confirm lesson")
    await desk.sees(".pane.lessons .none", "No lesson waits")
    await phone.sees("#chat li:not(.own)", " confirmed")
    await desk.sees(".bubble[data-author=assistant]", " confirmed")
    assert worker.process.poll() is None


async def test_a_message_changed_and_taken_back_on_the_phone(
    browser: Browser, desk: Page, simulated_whatsapp: TestServer
) -> None:
    """An edited message shows its new words on the desk, and a deleted one shows none."""
    phone = await browser.open(str(simulated_whatsapp.make_url("/")))
    await phone.click("#new")
    await phone.type("#text", "Half past nine?")
    await phone.press("Enter")
    await desk.click(".conversations a", "Half past nine?")

    await phone.click("#chat .own .text")
    await phone.click("#chat .tools button", "Edit")
    await phone.run("document.querySelector('#text').value = ''")
    await phone.type("#text", "Half past ten?")
    await phone.press("Enter")
    await desk.sees(".bubble", "Half past ten?")
    await desk.sees(".bubble .edited", "edited")

    await phone.click("#chat .own .text")
    await phone.click("#chat .tools button", "Delete")
    await phone.sees("#chat .deleted")
    await desk.sees(".bubble.deleted", "This message was deleted.")
    assert await desk.texts(".bubble .text") == ["This message was deleted."]


async def test_two_desks_show_the_same(
    browser: Browser, api: Program, worker: Program, customers: Customers
) -> None:
    """What is decided on one desk is seen on the other, without a reload."""
    first, second = await open_desk(browser, api.url), await open_desk(browser, api.url)
    await customers.write(ANA, WISH)
    await first.sees(".pane.lessons .card", "Ana Bianchi")
    await second.sees(".pane.lessons .card", "Ana Bianchi")

    await first.click(".pane.lessons .card button", "Cancel")
    await first.click("dialog button.danger")
    await first.sees(".pane.lessons .none")
    await second.sees(".pane.lessons .none")
    assert await second.texts(".pane.lessons .cards .name") == []
    assert worker.process.poll() is None


async def test_after_a_lost_connection_nothing_is_missing_and_nothing_is_twice(
    browser: Browser, api: Program, api_port: int, customers: Customers
) -> None:
    """However often the connection drops, each message stands on the desk once."""
    async with Proxy.to(api_port) as proxy:
        desk = await open_desk(browser, proxy.url)
        await customers.write(ANA, "Message 0")
        await desk.click(".conversations a", "Ana")
        for n in range(1, 4):
            await customers.write(ANA, f"Message {2 * n - 1}")
            proxy.cut()
            await customers.write(ANA, f"Message {2 * n}")
            await desk.sees(".state:not([data-state=live])")
            proxy.mend()
        await desk.until("document.querySelectorAll('.bubble').length >= 7")

        # Webhooks that are under way together may come in either order.
        texts = await desk.texts(".bubble .text")
        assert sorted(texts) == [f"Message {n}" for n in range(7)]
        assert len(await desk.texts(".conversations li")) == 1
    assert api.process.poll() is None


async def test_the_service_may_restart_under_an_open_desk(
    programs: Programs, browser: Browser, customers: Customers
) -> None:
    """A message that came around a restart of the API is on the desk when it is back."""
    api = await programs.serve()
    desk = await open_desk(browser, api.url)
    await customers.write(ANA, "Before")
    await desk.click(".conversations a", "Ana")
    await desk.sees(".bubble", "Before")
    api.kill()
    await customers.write(JONAS, "Meanwhile")
    await desk.sees(".banner")

    await programs.serve()
    await desk.sees(".conversations a", "Jonas Keller")
    await desk.misses(".banner")
    assert await desk.texts(".bubble .text") == ["Before"]


async def test_what_failed_can_be_tried_again(
    browser: Browser,
    api: Program,
    worker: Program,
    customers: Customers,
    simulated_model: TestServer,
) -> None:
    """A message that could not be answered shows why, and its button has it answered after all."""
    await customers.confuse(simulated_model, "400")
    desk = await open_desk(browser, api.url)
    await customers.write(ANA, WISH)
    await desk.sees(".mark.bad")
    await desk.click(".conversations a", "Ana")
    await desk.sees(".bubble .trouble", "Not answered")

    await desk.click(".bubble .trouble button", "Try again")
    await desk.sees(".bubble[data-author=assistant]", "proposed")
    await desk.misses(".trouble")
    await until(lambda: _got(customers, "proposed"))
    assert len(await customers.received(ANA)) == 1
    assert worker.process.poll() is None


async def test_a_person_takes_over(desk: Page, worker: Program, customers: Customers) -> None:
    """The instructor pauses the assistant and writes; the customer reads that and nothing else."""
    await customers.write(ANA, "Hi, are there lessons for children?")
    await desk.click(".conversations a", "Ana")
    await desk.sees(".bubble[data-author=assistant]")
    await desk.click(".switch")
    await desk.sees(".switch[aria-checked=false]")
    await customers.write(ANA, "She is five.")
    await desk.sees(".bubble", "She is five.")

    await desk.type(".composer textarea", "Yes, from four years on. Lea, your instructor")
    await desk.press("Enter")
    await desk.sees(".bubble[data-author=instructor]", "from four years on")
    await until(lambda: _got(customers, "from four years on"))
    assert len(await customers.received(ANA)) == 2
    await desk.click(".switch")
    await desk.sees(".switch[aria-checked=true]")
    assert worker.process.poll() is None


async def test_who_waits_for_a_person_stands_first(
    desk: Page, worker: Program, customers: Customers
) -> None:
    """Above newer conversations, until the instructor has written."""
    await customers.write(ANA, "I fell and my knee hurts. May I speak to a person?")
    await desk.sees(".conversations .handed-over", "Ana")
    await customers.write(JONAS, "Hello, a lesson?")
    await desk.sees(".conversations li", "Jonas")
    assert await desk.texts(".conversations .name") == [ANA[1], JONAS[1]]

    await desk.click(".conversations a", "Ana")
    await desk.sees(".note.urgent")
    await desk.type(".composer textarea", "I am on my way. Lea, your instructor")
    await desk.press("Enter")
    await desk.misses(".note.urgent")
    await desk.misses(".conversations .handed-over")
    assert worker.process.poll() is None


async def _got(customers: Customers, text: str) -> bool:
    return any(text in received for received in await customers.received(ANA))
