// What the page knows: rows by id, as the service last told them.

const FRAME = 16;

export class Store {
  conversations = new Map();
  bookings = new Map();
  /** Conversation id → its messages from version `from` on: `{rows: Map(id → message), from, cursor}`. */
  chats = new Map();
  /** Conversation id → `{row, at}`: its newest message, and as of when (ms). */
  previews = new Map();
  /** Conversation id → what the instructor is writing there: `{text, key}`. */
  drafts = new Map();
  loaded = false;
  #guards = new Set();
  #listeners = new Set();
  #scheduled = false;
  #told = 0;

  /** Call `listener` after every change, once for changes that come together. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** At once if it has been quiet, and in a storm of changes once a frame. */
  changed() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const pause = this.#told + FRAME - performance.now();
    if (pause > 0) setTimeout(() => this.#tell(), pause);
    else queueMicrotask(() => this.#tell());
  }

  #tell() {
    this.#scheduled = false;
    for (const listener of this.#listeners) listener();
    this.#told = performance.now();
  }

  /**
   * Run `load` (to rows) and hand them to `apply`, with the rows that changed live in the meantime
   * by id (null: removed). Those win: the answer may be older, and anything newer is still to come.
   */
  async guarded(load, apply) {
    const newer = new Map();
    this.#guards.add(newer);
    try {
      const rows = await load();
      apply(rows, newer);
      this.changed();
      return rows;
    } finally {
      this.#guards.delete(newer);
    }
  }

  #touch(id, row) {
    for (const newer of this.#guards) newer.set(id, row);
  }

  /** A conversation as told live or by a command's answer; what it does not say stays. */
  putConversation(row) {
    this.#touch(row.id, row);
    this.conversations.set(row.id, { ...this.conversations.get(row.id), ...row });
    this.changed();
  }

  putBooking(row) {
    this.#touch(row.id, row);
    this.bookings.set(row.id, { ...this.bookings.get(row.id), ...row });
    this.changed();
  }

  putMessage(row) {
    this.#touch(row.id, row);
    const chat = this.chats.get(row.conversation_id);
    if (chat && row.version >= chat.from) put(chat.rows, row);
    this.#preview(row, Date.parse(row.step_at ?? row.created_at));
    this.changed();
  }

  /** Forget a row. */
  remove(table, id) {
    this.#touch(id, null);
    if (table === "messages") for (const chat of this.chats.values()) chat.rows.delete(id);
    else this[table].delete(id);
    this.changed();
  }

  /** All rows of a table as fetched; what is not among them is gone. */
  replaceAll(table, rows, newer) {
    const known = this[table];
    const fetched = new Set(rows.map((row) => row.id));
    for (const id of known.keys()) if (!fetched.has(id) && !newer.has(id)) known.delete(id);
    for (const row of rows) putFetched(known, row, newer);
  }

  /** The messages of a conversation from some version on, as fetched: they replace those known. */
  replaceMessages(conversationId, { items, cursor }, newer) {
    const rows = this.chats.get(conversationId)?.rows ?? new Map();
    const from = cursor ? items.at(-1).version : 0;
    const fetched = new Set(items.map((row) => row.id));
    for (const [id, row] of rows) {
      if (row.version < from || !(fetched.has(id) || newer.has(id))) rows.delete(id);
    }
    for (const row of items) putFetched(rows, row, newer);
    for (const row of newer.values()) {
      if (row?.conversation_id === conversationId && row.role && row.version >= from) put(rows, row);
    }
    this.chats.set(conversationId, { rows, cursor, from });
    const at = Date.parse(this.conversations.get(conversationId)?.last_message_at) || 0;
    if (items[0]) this.#preview(items[0], at);
  }

  /** Older messages, which go before those known. */
  addOlder(conversationId, { items, cursor }, newer) {
    const chat = this.chats.get(conversationId);
    for (const row of items) putFetched(chat.rows, row, newer);
    chat.cursor = cursor;
    chat.from = cursor ? items.at(-1).version : 0;
  }

  setPreview(conversationId, row, at) {
    const known = this.previews.get(conversationId);
    if (row && (!known?.row || row.version >= known.row.version)) this.#preview(row, at);
    else this.previews.set(conversationId, { row: known?.row ?? null, at });
  }

  #preview(row, at) {
    const known = this.previews.get(row.conversation_id);
    if (known?.row && known.row.version > row.version) return;
    const newest = known?.row?.id === row.id ? { ...known.row, ...row } : row;
    this.previews.set(row.conversation_id, { row: newest, at: Math.max(at, known?.at ?? 0) });
  }
}

function put(rows, row) {
  rows.set(row.id, { ...rows.get(row.id), ...row });
}

function putFetched(rows, row, newer) {
  const live = newer.get(row.id);
  if (live !== null) rows.set(row.id, { ...row, ...live });
}
