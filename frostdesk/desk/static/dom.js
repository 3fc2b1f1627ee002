// Elements made by hand. Texts become text nodes only: nothing here parses markup.

import { SHAPES } from "./icons.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: `class`, `on…` handlers, `data` (an object), any attribute; false leaves out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function set(element, name, value) {
  if (value === false || value === null || value === undefined) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "data") Object.assign(element.dataset, value);
  else element.setAttribute(name, value === true ? "" : value);
}

/** One of our own shapes as SVG, silent for screen readers unless it has a label. */
export function icon(name, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon ${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** Set a text only where it differs, so that nothing is laid out for nothing. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide. */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Bring the children of `parent` in line with `items`: elements are kept by key, made, moved and
 * removed as needed. The focus stays where it is, even if its element moves.
 */
export function keyed(parent, items, { key, create, update }) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const kept = new Set(items.map(key));
  for (const [name, child] of known) if (!kept.has(name)) child.remove();
  let place = parent.firstElementChild;
  for (const item of items) {
    const element = known.get(key(item)) ?? create(item);
    element.dataset.key = key(item);
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}
