"""Using the desk: hostile texts, the keyboard, screen readers, languages, signing in and out."""

from __future__ import annotations

import signal

from tests.desk.browser import Browser, Page
from tests.desk.proxy import Proxy
from tests.desk.scene import ANA, JONAS, Customers, open_desk
from tests.support.programs import Program

# Of every request that begins from here on: how long it may take, and its end before that time.
NOTE_PATIENCE = """
() => {
  window.waits = [];
  AbortSignal.timeout = (milliseconds) => {
    const wait = new AbortController();
    window.waits.push({ milliseconds, end: () => wait.abort() });
    return wait.signal;
  };
}
"""
END_PATIENCE = "window.waits.map((wait) => (wait.end(), wait.milliseconds))"

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


async def test_customers_write_texts_and_nothing_else(desk: Page, customers: Customers) -> None:
    """Markup in a text or a name is shown to the letter, and makes no element."""
    await customers.write((ANA[0], HOSTILE), HOSTILE)
    await desk.sees(".conversations .name", HOSTILE)
    await desk.click(".conversations a")
    await desk.sees(".bubble .text", HOSTILE)
    assert await desk.run("document.querySelectorAll('img, .panes script').length") == 0
    assert await desk.run("document.title") in {"FrostDesk", "(1) FrostDesk"}


async def test_a_name_cannot_turn_its_surroundings_around(desk: Page, customers: Customers) -> None:
    """Characters that change the direction of text, or show nothing, are left out of names."""
    await customers.write((ANA[0], "\u202eevE\u2066\u200b Moser\u0007"), "Hello")
    await desk.sees(".conversations .name", "evE Moser")
    await customers.write((JONAS[0], "\u200f\u200b"), "Hello")
    await desk.until("document.querySelectorAll('.conversations li').length === 2")
    assert await desk.texts(".conversations .name") == [f"+{JONAS[0]}", "evE Moser"]
    assert await desk.run("document.querySelector('.name').tagName") == "BDI"


async def test_the_keyboard_suffices(desk: Page, customers: Customers) -> None:
    """Arrows move in the list, Enter opens, Escape goes back to the same place in the list."""
    await customers.write(ANA, "First")
    await desk.sees(".conversations a", "Ana")
    await customers.write(JONAS, "Second")
    await desk.sees(".conversations a", "Jonas")
    await desk.run("document.querySelector('.conversations a').focus()")
    await desk.press("ArrowDown")
    focused = "document.activeElement.querySelector('.name')?.textContent"
    assert await desk.run(focused) == "Ana Bianchi"
    await desk.press("Enter")
    await desk.sees(".bubble", "First")
    await desk.until("document.activeElement.tagName === 'H2'")
    await desk.press("Escape")
    await desk.until(f"{focused} === 'Ana Bianchi'")
    assert await desk.run("location.hash") == "#/"


async def test_the_question_before_a_decision_holds_the_focus(
    desk: Page, worker: Program, customers: Customers
) -> None:
    """Tab stays inside the question, and Escape means no."""
    await customers.write(ANA, "Hello! A lesson on Saturday at 10 for two hours?")
    await desk.click(".pane.lessons .card button", "Confirm")
    await desk.sees("dialog[open]")
    inside = "document.querySelector('dialog').contains(document.activeElement)"
    assert await desk.run(inside)
    seen = set()
    for _ in range(4):
        await desk.press("Tab")
        seen.add(await desk.run("document.activeElement.textContent"))
        assert await desk.run(f"{inside} || document.activeElement === document.body")
    assert {"Go back", "Confirm lesson"} <= seen
    await desk.press("Escape")
    await desk.misses("dialog")
    await desk.sees(".pane.lessons .card button", "Confirm")
    assert worker.process.poll() is None


async def test_everything_has_a_name_for_a_screen_reader(desk: Page, customers: Customers) -> None:
    """Landmarks are there, controls have names, and a new message is spoken."""
    await customers.write(ANA, "Hello there")
    await desk.until(
        "document.querySelector('[aria-live=polite].unseen').textContent.includes('Hello there')"
    )
    await desk.click(".conversations a")
    await desk.sees(".bubble")
    tree = (await desk.call("Accessibility.getFullAXTree"))["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    ]
    roles = {role for role, _ in named}
    assert {"banner", "navigation", "main", "complementary", "heading", "switch"} <= roles
    controls = {"button", "link", "textbox", "searchbox", "switch"}
    assert [role for role, name in named if role in controls and not name.strip()] == []


async def test_german(desk: Page, customers: Customers) -> None:
    """The other language is one click away, is kept, and no word is left behind."""
    await customers.write(ANA, "Hello")
    await desk.sees(".conversations a", "Ana")
    await desk.click(".bar button", "DE")
    await desk.sees(".pane.lessons h2", "Wartet auf dein Ja")
    assert await desk.run("document.documentElement.lang") == "de"
    await desk.run("location.reload()")
    await desk.sees(".pane.lessons h2", "Wartet auf dein Ja")
    await desk.sees(".conversations a", "Ana")


async def test_both_languages_say_the_same_things(desk: Page) -> None:
    """English and German have the same keys, with the same places to fill in."""
    folder = "document.querySelector('link[rel=stylesheet]').href.replace(/[^/]*$/, '')"
    words = await desk.run(
        f"fetch({folder} + 'words.js').then((a) => a.text()).then((english) =>"
        f" fetch({folder} + 'german.js').then((a) => a.text()).then((german) => [english, german]))"
    )
    english, german = ([line for line in text.splitlines() if '": ' not in line] for text in words)
    assert _places(english) == _places(german)


def _places(lines: list[str]) -> dict[str, list[str]]:
    """What each key has to fill in."""
    found = {}
    for line in lines:
        key, colon, text = line.strip().partition(": ")
        if line.startswith("  ") and colon and text.startswith('"') and text.endswith('",'):
            found[key] = sorted(part.split("}")[0] for part in text.split("{")[1:])
    return found


async def test_the_token_is_kept_for_the_session_only(browser: Browser, api: Program) -> None:
    """A reload stays signed in; signing out forgets the token; another tab was never told."""
    desk = await open_desk(browser, api.url)
    await desk.run("location.reload()")
    await desk.sees(".bar .state")
    assert await desk.run("JSON.stringify(localStorage).includes('token')") is False
    await desk.click(".bar .leave")
    await desk.sees("#token")
    assert await desk.run("sessionStorage.length") == 0


async def test_a_conversation_that_does_not_exist(desk: Page) -> None:
    """A link to nothing says so."""
    await desk.run("location.hash = '#/c/00000000-0000-0000-0000-000000000000'")
    await desk.sees(".nothing h2", "does not exist")


async def test_older_messages_come_in_by_scrolling(
    browser: Browser, api: Program, customers: Customers
) -> None:
    """Up to the very first one, in order, each once."""
    await customers.write_all([(ANA[0], f"Message {n}") for n in range(130)])
    desk = await open_desk(browser, api.url)
    await desk.click(".conversations a")
    await desk.sees(".bubble", "Message 129")
    await desk.until(
        "(document.querySelector('.history .scroll').scrollTop = 0,"
        " document.querySelectorAll('.bubble').length === 130)"
    )
    assert await desk.texts(".bubble .text") == [f"Message {n}" for n in range(130)]


async def test_the_calendars_address_is_made_and_revoked(desk: Page) -> None:
    """The address answers with a calendar until it is revoked, which is asked about once."""
    await desk.click(".pane.lessons button", "Make an address")
    await desk.sees(".feed input")
    address = await desk.run("document.querySelector('.feed input').value")
    answer = f"fetch('{address}').then((answer) => answer.status)"
    assert await desk.run(answer) == 200
    await desk.click(".feed button", "Revoke")
    await desk.click("dialog button.danger")
    await desk.sees(".pane.lessons button", "Make an address")
    assert await desk.run(answer) == 404


async def test_the_calendars_address_is_that_of_the_page(
    browser: Browser, api: Program, api_port: int
) -> None:
    """Behind a proxy, too, phones subscribe where the page was opened, HTTPS included."""
    async with Proxy.to(api_port) as proxy:
        desk = await open_desk(browser, proxy.url)
        await desk.click(".pane.lessons button", "Make an address")
        await desk.sees(".feed input")
        address = await desk.run("document.querySelector('.feed input').value")
        assert address.startswith(f"{proxy.url}/calendar/")
        assert await desk.run(f"fetch('{address}').then((answer) => answer.status)") == 200
        await desk.close()
    assert api.process.poll() is None


async def test_a_refusal_says_whose_lesson_is_in_the_way(
    browser: Browser, api: Program, worker: Program, customers: Customers
) -> None:
    """A confirmation that overlaps is refused with a name and hours, in the page's language."""
    desk = await open_desk(browser, api.url)
    await customers.write(ANA, "Hello! A lesson on Saturday at 10 for two hours?")
    await customers.write(JONAS, "Hello! A lesson on Saturday at 11 for 90 minutes?")
    await desk.sees(".card .name", "Ana")
    await desk.sees(".card .name", "Jonas")
    await desk.click(".pane.lessons .card button", "Confirm")
    await desk.click("dialog button", "Confirm lesson")
    await desk.sees(".pane.lessons .card .warning", "Overlaps with Ana Bianchi")
    await desk.click(".pane.lessons .card button", "Confirm")
    await desk.sees("dialog .warning", "Overlaps with Ana Bianchi")
    await desk.click("dialog button", "Confirm lesson")
    await desk.sees(".notice.error", "Overlaps with Ana Bianchi, 10:00\u201312:00")
    assert await desk.run("document.querySelector('.notice button').offsetHeight") <= 48
    await desk.sees(".pane.lessons .card", "Jonas")
    assert worker.process.poll() is None


async def test_a_service_that_hangs_is_told_of(
    browser: Browser, api: Program, worker: Program, customers: Customers
) -> None:
    """The button waits with the command; where nothing answers the page gives up after 15 s."""
    desk = await open_desk(browser, api.url)
    await customers.write(ANA, "Hello! A lesson on Saturday at 10 for two hours?")
    await desk.click(".pane.lessons .card button", "Confirm")
    await desk.apply(NOTE_PATIENCE)
    api.process.send_signal(signal.SIGSTOP)
    try:
        await desk.click("dialog button", "Confirm lesson")
        await desk.until("document.querySelector('.pane.lessons .card .confirm').disabled")
        assert set(await desk.run(END_PATIENCE)) == {15_000}
        await desk.sees(".notice.error", "cannot be reached")
    finally:
        api.process.send_signal(signal.SIGCONT)
    await desk.until("!document.querySelector('.pane.lessons .card .confirm')?.disabled")
    assert worker.process.poll() is None


async def test_addresses_that_lead_nowhere(desk: Page) -> None:
    """Whatever stands after the #, the page says so and stays alive."""
    for address in ("#/c/100%", "#/c/..%2f..%2fbookings%3f", "#/c/%E0%A4%A"):
        await desk.run(f"location.hash = '{address}'")
        await desk.sees(".nothing h2", "does not exist")
        await desk.run("location.reload()")
        await desk.sees(".state[data-state=live]")
        await desk.sees(".nothing h2", "does not exist")
        await desk.run("location.hash = '#/'")
        await desk.misses(".nothing h2", "does not exist")


async def test_going_back_takes_the_question_along(
    desk: Page, worker: Program, customers: Customers
) -> None:
    """A phone's back button means no."""
    await customers.write(ANA, "Hello! A lesson on Saturday at 10 for two hours?")
    await desk.run("location.hash = '#/lessons'")
    await desk.click(".pane.lessons .card button", "Confirm")
    await desk.sees("dialog[open]")
    await desk.run("history.back()")
    await desk.misses("dialog")
    await desk.sees(".pane.lessons .card button", "Confirm")
    assert worker.process.poll() is None


async def test_a_token_that_no_header_can_carry(browser: Browser, api: Program) -> None:
    """It is not accepted, which is not the service's fault."""
    page = await browser.open(api.url)
    await page.type("#token", "wröng ☃")
    await page.press("Enter")
    await page.sees(".error", "not accepted")


async def test_what_one_tab_has_shown_is_read_in_the_other(
    browser: Browser, api: Program, customers: Customers
) -> None:
    """The tabs of one browser share what has been read."""
    desk = await open_desk(browser, api.url)
    await customers.write(ANA, "Hello")
    await desk.sees(".conversations .unread", "Ana")
    read = "JSON.stringify({[document.querySelector('.conversations li').dataset.key]: 99})"
    await desk.run(f"localStorage.setItem('frostdesk.seen', {read})")
    # As the browser tells the other tabs; the one that wrote is not told.
    await desk.run("dispatchEvent(new StorageEvent('storage', {key: 'frostdesk.seen'}))")
    await desk.misses(".conversations .unread")


async def test_searching(desk: Page, customers: Customers) -> None:
    """Without accents and capitals, by numbers as they are written; what was searched is said."""
    await customers.write((ANA[0], "Ana Bartholomäus"), "Is Tuesday free?")
    await customers.write(JONAS, "Hello")
    for query in ("bartholomaus", "+41 79 000 00 01", "TUESDAY"):
        await desk.sees(".conversations .preview", "Tuesday")
        await desk.run("document.querySelector('.find input').value = ''")
        await desk.type(".find input", query)
        await desk.until("document.querySelectorAll('.conversations li').length === 1")
        assert await desk.texts(".conversations .name") == ["Ana Bartholomäus"]
    await desk.run("document.querySelector('.find input').value = ''")
    await desk.type(".find input", "Zermatt")
    await desk.sees(".pane.list .nothing", "Nothing found for “Zermatt”")
    await desk.sees(".pane.list .nothing p", "that this page has shown")


async def test_what_is_typed_while_a_message_goes_out_stays_apart(
    desk: Page, api: Program, customers: Customers
) -> None:
    """The box is empty at once; what cannot be sent comes back before what was begun."""
    await customers.write_all([(ANA[0], f"Message {n}") for n in range(40)])
    await desk.click(".conversations a")
    await desk.sees(".bubble", "Message 39")
    scroller = "document.querySelector('.history .scroll')"
    # Again and again, as the page scrolls to the end by itself while it still fills.
    await desk.until(
        f"({scroller}.scrollTop = 0, document.querySelector('button.down')?.checkVisibility())"
    )
    inside = """() => {
      const [button, shape] = ["button.down", "button.down svg"]
        .map((name) => document.querySelector(name).getBoundingClientRect());
      return shape.left >= button.left && shape.right <= button.right &&
        shape.top >= button.top && shape.bottom <= button.bottom;
    }"""
    assert await desk.apply(inside)
    box = "document.querySelector('.composer textarea').value"
    api.process.send_signal(signal.SIGSTOP)
    try:
        await desk.type(".composer textarea", "first")
        await desk.press("Enter")
        await desk.until(f"{box} === ''")
        await desk.type(".composer textarea", "second")
    finally:
        api.process.send_signal(signal.SIGCONT)
    await desk.sees(".bubble[data-author=instructor]", "first")
    await desk.until(
        f"{scroller}.scrollHeight - {scroller}.scrollTop - {scroller}.clientHeight < 2"
    )
    assert await desk.run(box) == "second"
    await desk.run("window.fetch = () => Promise.reject(new TypeError('offline'))")
    await desk.press("Enter")
    await desk.sees(".notice.error")
    await desk.until(f"{box} === 'second'")


async def test_a_lesson_across_midnight_is_seen_on_both_days(
    desk: Page, worker: Program, customers: Customers
) -> None:
    """The calendar does not show the early hours as free."""
    await customers.write(ANA, "Hello! A lesson on Saturday at 23:30 for two hours?")
    await desk.sees(".pane.lessons .card", "Ana")
    following = "document.querySelector('.week-head button[aria-label=\"Next week\"]').click()"
    await desk.until(
        f"document.querySelectorAll('.week .lessons li').length === 2 || ({following}, false)"
    )
    days = await desk.texts(".weekday:has(.lessons li) h3 span")
    assert days == ["Sat", "Sun"]
    widths = (
        "[...document.querySelectorAll('.week .track i')].map((block) => block.offsetWidth > 0"
        " && block.offsetLeft + block.offsetWidth <= block.parentElement.clientWidth + 1)"
    )
    assert await desk.run(widths) == [True, True]
    assert worker.process.poll() is None
