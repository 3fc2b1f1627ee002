"""How the desk looks: no overflow, enough contrast, and pictures for people to look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from tests.desk.browser import Browser, Page
from tests.desk.scene import ANA, JONAS, Customers, open_desk
from tests.support.programs import Program

SIZES = {"phone": (360, 740), "wide": (1360, 860)}

# Of everything that shows a text of its own or a placeholder: what it says, and the WCAG contrast
# (2.2, "Contrast (Minimum)") of its colour to what is painted behind it. Colours are resolved by a
# canvas.
CONTRASTS = """
() => {
  const paint = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const flatten = (colours) => {
    paint.fillStyle = "#fff";
    paint.fillRect(0, 0, 1, 1);
    for (const colour of colours) {
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
    }
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colours = [];
    for (let e = element; e; e = e.parentElement) {
      colours.unshift(getComputedStyle(e).backgroundColor);
    }
    return colours;
  };
  const measure = (element, part) => {
    const ground = behind(element);
    const colour = getComputedStyle(element, part).color;
    const [dark, light] = [flatten(ground), flatten([...ground, colour])]
      .map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const seen = [...document.body.querySelectorAll("*")]
    .filter((e) => e.checkVisibility() && e.getClientRects().length && !e.closest(":disabled"));
  const isText = (node) => node.nodeType === 3 && node.data.trim();
  const texts = seen.filter((e) => [...e.childNodes].some(isText));
  const hints = seen.filter((e) => e.placeholder && !e.value);
  return [
    ...texts.map((e) => [e.textContent.slice(0, 40), measure(e)]),
    ...hints.map((e) => [e.placeholder, measure(e, "::placeholder")]),
  ];
}
"""

# What sticks out of the page or of its own box to the side, other than texts cut short on purpose.
# A search field keeps some room for its cross.
OVERFLOWS = """
() => {
  const cuts = (e) => getComputedStyle(e).textOverflow === "ellipsis";
  const isCut = (e) => e && (cuts(e) || isCut(e.parentElement));
  const paint = new OffscreenCanvas(1, 1).getContext("2d");
  const hintIsCut = (e) => {
    const style = getComputedStyle(e);
    paint.font = style.font;
    const edges = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    const cross = e.type === "search" ? 24 : 0;
    return paint.measureText(e.placeholder).width > e.clientWidth - edges - cross;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.checkVisibility() && !e.closest(".skip, .unseen, svg, .track"))
    .filter((e) => !isCut(e) && getComputedStyle(e).clipPath === "none")
    .filter((e) => {
      const box = e.getBoundingClientRect();
      const inline = getComputedStyle(e).display === "inline";
      return box.left < -1 || box.right > innerWidth + 1 || (e.placeholder && hintIsCut(e)) ||
        (!inline && !e.matches("input, textarea") && e.scrollWidth > e.clientWidth + 1);
    })
    .map((e) => `${e.tagName}.${e.className} ${(e.placeholder || e.textContent).slice(0, 40)}`);
}
"""


@pytest.fixture
async def busy_desk(browser: Browser, api: Program, worker: Program, customers: Customers) -> Page:
    """A desk with a confirmed lesson, one in conflict with it, and someone who needs a person."""
    desk = await open_desk(browser, api.url)
    await customers.write(ANA, "Hello! A lesson on Saturday at 10 for two hours?")
    await customers.write(
        JONAS, "Guten Tag, ist am Samstag um 11 Uhr für 90 Minuten noch etwas frei?"
    )
    await desk.sees(".card .name", "Ana")
    await desk.sees(".card .name", "Jonas")
    await desk.click(".pane.lessons .card button", "Confirm")
    await desk.click("dialog button", "Confirm lesson")
    await desk.sees(".pane.lessons .card .warning", "Overlaps with Ana Bianchi")
    await customers.write(
        ("41790000003", "Mira Okafor"),
        "I fell yesterday and my knee hurts. May I speak to a person?",
    )
    await desk.sees(".conversations a", "Mira")
    assert worker.process.poll() is None
    return desk


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_can_be_read(busy_desk: Page, scheme: str, tmp_path: Path) -> None:
    """Every text has the contrast of WCAG AA and nothing sticks out, on a phone and on a desk."""
    await busy_desk.prefer(scheme=scheme)
    for name, (width, height) in SIZES.items():
        await busy_desk.resize(width, height)
        for place in ("list", "chat", "lessons"):
            await _go(busy_desk, place)
            await busy_desk.shoot(tmp_path / f"{name}-{place}-{scheme}.png")
            faint = [c for c in await busy_desk.apply(CONTRASTS) if c[1] < 4.5]
            assert faint == [], (name, place)
            assert await busy_desk.apply(OVERFLOWS) == [], (name, place)


async def _go(desk: Page, place: str) -> None:
    """Show one of the panes; on a wide screen all are seen."""
    first = "document.querySelector('.conversations a .name').closest('a').hash"
    address = {"list": "'#/'", "chat": first, "lessons": "'#/lessons'"}[place]
    await desk.run(f"location.hash = {address}")
    await desk.until(f"document.body.dataset.pane === '{place}'")
    await desk.until("document.getAnimations().length === 0")


@pytest.mark.parametrize("language", ["EN", "DE"])
async def test_hints_are_not_cut_short(desk: Page, language: str) -> None:
    """What a field says while it is empty fits into it, in both languages."""
    if language == "DE":
        await desk.click(".bar button", "DE")
    for width, height in SIZES.values():
        await desk.resize(width, height)
        assert await desk.apply(OVERFLOWS) == []


async def test_the_customers_phone_can_be_read(
    browser: Browser, worker: Program, simulated_whatsapp: TestServer, tmp_path: Path
) -> None:
    """The customer's page has enough contrast in both themes, and nothing sticks out."""
    phone = await browser.open(str(simulated_whatsapp.make_url("/")))
    await phone.click("#new")
    await phone.type("#text", "Hello! A lesson on Saturday at 10 for two hours?")
    await phone.press("Enter")
    await phone.sees("#chat li:not(.own)", "proposed")
    for scheme in ("light", "dark"):
        await phone.prefer(scheme=scheme)
        for name, (width, height) in SIZES.items():
            await phone.resize(width, height)
            await phone.shoot(tmp_path / f"customer-{name}-{scheme}.png")
            assert [c for c in await phone.apply(CONTRASTS) if c[1] < 4.5] == [], (name, scheme)
            assert await phone.apply(OVERFLOWS) == [], (name, scheme)
    assert worker.process.poll() is None


async def test_signing_in_can_be_read(browser: Browser, api: Program, tmp_path: Path) -> None:
    """The page before signing in has enough contrast in both themes, a wrong token's answer too."""
    page = await browser.open(api.url, width=360, height=740)
    await page.type("#token", "not-the-token")
    await page.press("Enter")
    await page.sees(".error", "not accepted")
    for scheme in ("light", "dark"):
        await page.prefer(scheme=scheme)
        await page.shoot(tmp_path / f"sign-in-{scheme}.png")
        assert [c for c in await page.apply(CONTRASTS) if c[1] < 4.5] == []
        assert await page.apply(OVERFLOWS) == []


async def test_long_messages_and_long_words_stay_in_their_bubbles(
    browser: Browser, api: Program, customers: Customers, tmp_path: Path
) -> None:
    """A text of 4,000 characters and a word of 300 cause no scrolling to the side."""
    desk = await open_desk(browser, api.url, width=360, height=740)
    await customers.write((ANA[0], "N" * 300), "Powder! " * 500)
    await customers.write((ANA[0], "N" * 300), "W" * 300)
    await desk.click(".conversations a")
    await desk.sees(".bubble", "W" * 300)
    await desk.shoot(tmp_path / "long.png")
    assert await desk.apply(OVERFLOWS) == []
    await desk.run("location.hash = '#/'")
    await desk.sees(".conversations a")
    assert await desk.apply(OVERFLOWS) == []


async def test_five_hundred_conversations_scroll_and_can_be_searched(
    browser: Browser, api: Program, customers: Customers, tmp_path: Path
) -> None:
    """With 500 conversations the list is complete, and each is found by its number."""
    texts = [(f"4179{n:07}", f"Hello, this is number {n}") for n in range(500)]
    await customers.write_all(texts)
    desk = await open_desk(browser, api.url)
    await desk.until("document.querySelectorAll('.conversations li').length === 500")
    await desk.sees(".preview", "this is number")
    await desk.shoot(tmp_path / "many.png")
    await desk.type("input[type=search]", "+41790000123")
    await desk.until("document.querySelectorAll('.conversations li').length === 1")
    await desk.click(".conversations a")
    await desk.sees(".bubble", "this is number 123")


async def test_first_paint_is_light_and_from_one_host(browser: Browser, api: Program) -> None:
    """The page needs less than 100 kB on the wire, and asks nobody but its own host."""
    page = await browser.open(api.url)
    await page.sees("#token")
    loaded = await page.run(
        "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        ".map((e) => [e.name, e.transferSize])"
    )
    assert len(loaded) > 5
    assert [name for name, _ in loaded if not name.startswith(api.url)] == []
    assert sum(size for _, size in loaded) < 100_000


async def test_the_layout_does_not_shift_when_rows_come(
    browser: Browser, api: Program, customers: Customers
) -> None:
    """Nothing moves by itself while a conversation is open and another one comes in."""
    await customers.write(ANA, "First")
    desk = await open_desk(browser, api.url)
    await desk.click(".conversations a", "First")
    await desk.sees(".bubble", "First")
    shifted = """
      new Promise((done) => {
        let sum = 0;
        new PerformanceObserver((list) => {
          for (const shift of list.getEntries()) sum += shift.hadRecentInput ? 0 : shift.value;
        }).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => done(sum), 200);
      })"""
    assert await desk.run(shifted) < 0.1
