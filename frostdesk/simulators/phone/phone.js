// Plays the customers. Talks to the simulated WhatsApp and to nobody else.

import { newCustomer } from "./customers.js";

const POLL = 500;
const KEPT = "phone.customers";
const TICKS = { sent: "✓", delivered: "✓✓", read: "✓✓" };
const TICK_NAMES = { sent: "Sent", delivered: "Delivered", read: "Read" };

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** Customers made here; the simulated WhatsApp learns of them by their first message. */
let made = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
let customers = [];
let current = null;
let editing = null;

async function ask(method, path, body) {
  const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

/** Do something; what goes wrong stands above the composer. */
async function attempt(act) {
  try {
    await act();
    $("trouble").textContent = "";
  } catch (error) {
    $("trouble").textContent = error.message || "The simulated WhatsApp does not answer.";
  }
}

async function refresh() {
  const known = (await ask("GET", "/_customers")).items;
  const keys = new Set(known.map((customer) => customer.key));
  customers = [...made.filter((customer) => !keys.has(customer.key)), ...known];
  showCustomers();
  if (!current || !keys.has(current)) return showChat([], []);
  const chat = await ask("GET", `/_customers/${encodeURIComponent(current)}/messages`);
  const marks = await ask("GET", "/_read_marks");
  showChat(chat.items, marks.items);
}

/** Bring a list's children in line with `items`, each known by its key. */
function keyed(parent, items, key, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, n) => {
    const element = known.get(key(item)) ?? create(item);
    known.delete(key(item));
    element.dataset.key = key(item);
    update(element, item);
    if (parent.children[n] !== element) parent.insertBefore(element, parent.children[n] ?? null);
  });
  for (const child of known.values()) child.remove();
}

function element(tag, className = "", ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function button(label, act) {
  const made = element("button", "", label);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

function showCustomers() {
  const create = (customer) => {
    const choose = button("", () => open(customer.key));
    choose.append(document.createElement("bdi"), document.createElement("span"));
    return element("li", "", choose);
  };
  keyed($("customers"), customers, (customer) => customer.key, create, (item, customer) => {
    write(item.querySelector("bdi"), customer.name);
    write(item.querySelector("span"), customer.wa_id ? `+${customer.wa_id}` : customer.user_id);
    item.firstChild.toggleAttribute("aria-current", customer.key === current);
  });
}

function showChat(messages, marks) {
  const place = $("scroll");
  const wasAtEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 80;
  const before = $("chat").childElementCount;
  keyed($("chat"), messages, (message) => message.id, newBubble, fillBubble);
  write($("presence"), isTyping(messages, marks) ? "typing …" : "online");
  if (wasAtEnd && before !== messages.length) place.scrollTop = place.scrollHeight;
}

/** Whether the business has said that it is typing, in answer to the newest message. */
function isTyping(messages, marks) {
  const last = messages.at(-1);
  return Boolean(last?.by_customer && marks.some((m) => m.message_id === last.id && m.typing));
}

function newBubble(message) {
  const bubble = element("li", message.by_customer ? "own" : "",
    element("p", "text"), element("span", "meta", element("span", "edited"), element("time"), element("span", "ticks")));
  if (message.by_customer) {
    const tools = element("span", "tools",
      button("Edit", () => edit(message.id)), button("Delete", () => remove(message.id)));
    bubble.append(tools);
    bubble.tabIndex = 0;
  }
  return bubble;
}

function fillBubble(bubble, message) {
  const part = (name) => bubble.querySelector(name);
  bubble.classList.toggle("deleted", message.deleted);
  write(part(".text"), message.deleted ? "You deleted this message." : message.text);
  write(part(".edited"), message.edited && !message.deleted ? "edited" : "");
  write(part("time"), clock.format(new Date(message.at)));
  if (part(".tools")) part(".tools").hidden = message.deleted;
  if (!message.by_customer) return;
  const ticks = part(".ticks");
  ticks.dataset.ticks = message.ticks;
  ticks.setAttribute("role", "img");
  ticks.setAttribute("aria-label", TICK_NAMES[message.ticks]);
  write(ticks, TICKS[message.ticks]);
}

function open(key) {
  current = key;
  stopEditing();
  document.body.classList.toggle("chatting", key !== null);
  $("chat").replaceChildren();
  tick();
  if (key !== null) $("text").focus();
}

function make() {
  const customer = newCustomer(new Set(customers.map((c) => c.key)));
  made = [customer, ...made];
  sessionStorage.setItem(KEPT, JSON.stringify(made));
  open(customer.key);
}

async function send(event) {
  event?.preventDefault();
  const text = $("text").value.trim();
  if (!text || !current) return;
  const path = `/_customers/${encodeURIComponent(current)}`;
  const { name } = customers.find((customer) => customer.key === current);
  $("text").value = "";
  await attempt(() =>
    editing
      ? ask("POST", `${path}/edit`, { message_id: editing, text })
      : ask("POST", `${path}/messages`, { text, name }));
  if ($("trouble").textContent) $("text").value = text;
  else stopEditing();
  await tick();
}

function edit(id) {
  editing = id;
  $("editing").hidden = false;
  $("text").value = $("chat").querySelector(`[data-key="${CSS.escape(id)}"] .text`).textContent;
  $("text").focus();
}

function stopEditing() {
  if (editing) $("text").value = "";
  editing = null;
  $("editing").hidden = true;
}

function remove(id) {
  return attempt(() => ask("POST", `/_customers/${encodeURIComponent(current)}/delete`, { message_id: id })).then(tick);
}

let polling = null;

async function tick() {
  clearTimeout(polling);
  try {
    if (!document.hidden) await refresh();
  } catch {
    write($("presence"), "no connection");
  }
  clearTimeout(polling);
  polling = setTimeout(tick, POLL);
}

$("new").addEventListener("click", make);
$("back").addEventListener("click", () => open(null));
$("stop-editing").addEventListener("click", stopEditing);
$("composer").addEventListener("submit", send);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
});
tick();
