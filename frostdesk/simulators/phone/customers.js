// Invented people with invented numbers.

const FIRST = ["Ana", "Jonas", "Mira", "Luca", "Sofie", "Elias", "Nora", "Tim", "Yara", "Felix", "Ida", "Noah", "Lea", "Hugo", "Alva", "Emil"];
const LAST = ["Bianchi", "Keller", "Novak", "Dubois", "Lindqvist", "Okafor", "Tanaka", "Moser", "Rossi", "Berger", "Petrova", "Silva"];

/** A customer with a name and a number that none of `taken` (keys) has. */
export function newCustomer(taken) {
  const name = `${pick(FIRST)} ${pick(LAST)}`;
  let key;
  do key = `4179000${String(Math.floor(Math.random() * 10_000)).padStart(4, "0")}`;
  while (taken.has(key));
  return { key, wa_id: key, user_id: null, name, messages: 0 };
}

function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}
