// Who somebody is. Customers choose their names, so a name is shown in a way that fakes nothing.

// Characters that turn the direction of text around, or that nobody sees.
const INVISIBLE = /[\p{Cc}\p{Cf}\u2028\u2029\u115f\u1160\u3164\uffa0]/gu;

/** A text on one line, without invisible characters; those that join emoji stay. */
export function plain(text) {
  return text.replace(/\s+/g, " ").replace(INVISIBLE, (c) => (c === "\u200d" ? c : "")).trim();
}

/** A phone number as people write it. */
export function number(conversation) {
  if (conversation.wa_id) return `+${conversation.wa_id}`;
  return conversation.user_id ?? "";
}

/** The name to call a customer by; the number of one without a name that can be seen. */
export function nameOf(conversation) {
  if (!conversation) return "…";
  const names = [conversation.name, conversation.username].map((name) => plain(name ?? ""));
  return names.find((name) => name.replaceAll("\u200d", "")) ?? number(conversation);
}

/** Up to two letters that stand for somebody. */
export function initials(conversation) {
  const letters = nameOf(conversation).match(/(?<!\p{L})\p{L}/gu) ?? ["#"];
  return letters.slice(0, 2).join("").toUpperCase();
}

/** A text as a search compares it: without accents and capitals. */
function folded(text) {
  return plain(text).normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** Whether a search for `query` finds the conversation, of which these texts are known. */
export function matches(query, conversation, texts) {
  const { name, username, wa_id, user_id } = conversation;
  const digits = query.replace(/[\s()+./-]/g, "");
  if (wa_id && /^\d+$/.test(digits) && wa_id.includes(digits)) return true;
  return folded([name, username, wa_id, user_id, ...texts].filter(Boolean).join("\n")).includes(folded(query));
}
