// The service's HTTP interface, as far as the desk needs it.

const PAGE = 200;
const PATIENCE = 15_000;

/** A refusal or a failure. `status` is 0 where no answer came; `message` is the problem's detail. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export class Api {
  /** `onUnauthorized` is called when the token is not, or no longer, accepted. */
  constructor(token, onUnauthorized) {
    this.token = token;
    this.onUnauthorized = onUnauthorized;
  }

  get(path) {
    return this.#ask("GET", path);
  }

  post(path, body, headers = {}) {
    return this.#ask("POST", path, body, headers);
  }

  delete(path) {
    return this.#ask("DELETE", path);
  }

  /** Every item of a list, page by page. */
  async all(path) {
    const items = [];
    let cursor = null;
    do {
      const page = await this.page(path, cursor);
      items.push(...page.items);
      cursor = page.cursor;
    } while (cursor);
    return items;
  }

  /** One page of a list: `{items, cursor}`. */
  page(path, cursor = null, limit = PAGE) {
    const url = new URL(path, location.origin);
    url.searchParams.set("limit", limit);
    if (cursor) url.searchParams.set("cursor", cursor);
    return this.get(url.pathname + url.search);
  }

  async #ask(method, path, body, headers = {}) {
    const { answer, text } = await this.#send(method, path, body, headers);
    if (answer.ok) return text ? JSON.parse(text) : null;
    if (answer.status === 401) this.onUnauthorized();
    throw new Problem(answer.status, detailOf(text) ?? answer.statusText);
  }

  /** A server that hangs is away, too. */
  async #send(method, path, body, headers) {
    const given = { ...headers, Authorization: `Bearer ${this.token}` };
    if (body !== undefined) given["Content-Type"] = "application/json";
    try {
      const answer = await fetch(path, {
        method,
        headers: given,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal: AbortSignal.timeout(PATIENCE),
      });
      return { answer, text: await answer.text() };
    } catch {
      throw new Problem(0, "");
    }
  }
}

function detailOf(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return undefined;
  }
}
