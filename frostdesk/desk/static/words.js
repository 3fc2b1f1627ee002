// The page's words, in English and German. English sets the meaning of each.

import { de } from "./german.js";

const en = {
  conversations: "Conversations",
  conversation: "Conversation",
  lessons: "Lessons",
  search: "Search names and texts",
  skip: "Skip to the conversation",
  signOut: "Sign out",
  language: "Auf Deutsch",
  otherLanguage: "de",
  title: "The front desk of your ski school",
  signIn: "Sign in",
  token: "Your token",
  tokenHint: "You find it as FROSTDESK_INSTRUCTOR_TOKEN, and where frostdesk dev has printed it.",
  tokenWrong: "That token is not accepted. Check it and try again.",
  signedOut: "Your token is no longer accepted. Sign in again.",
  unreachable: "FrostDesk cannot be reached just now. Try again in a moment.",
  live: "Live",
  connecting: "Connecting",
  offline: "No connection",
  offlineBanner: "No connection. You see how things stood at {time}.",
  pollBanner: "Not live just now: updated every few seconds.",
  loading: "Loading …",
  empty: "Nobody has written yet",
  emptyHint: "As soon as a customer writes on WhatsApp, the conversation stands here.",
  nothingFound: "Nothing found for “{query}”",
  nothingFoundHint: "All names and numbers were searched, and the texts that this page has shown.",
  choose: "Choose a conversation",
  chooseHint: "What customers wrote, and what they were answered, stands here.",
  unknownConversation: "This conversation does not exist (any more).",
  handedOver: "Waits for you",
  handedOverBecause: "Waits for you: {reason}",
  stopped: "Wrote STOP: gets no automatic messages.",
  waiting: "Waiting for an answer",
  failedCount: "{count} failed",
  unread: "unread",
  paused: "Assistant paused",
  assistantOn: "Assistant answers",
  assistantOff: "Assistant paused",
  assistantSwitch: "The assistant answers this customer",
  customer: "Customer",
  assistant: "Assistant",
  instructor: "You",
  edited: "edited",
  deleted: "This message was deleted.",
  pending: "Waiting to be sent",
  unsettled: "It is not known yet whether this arrived",
  repeated: "Sent a second time, as the first try had no outcome",
  sent: "Sent",
  delivered: "Delivered",
  read: "Read",
  failed: "Failed",
  failedBecause: "Not sent: {reason}",
  unanswered: "Not answered: {reason}",
  retry: "Try again",
  retrying: "FrostDesk tries again.",
  older: "Older messages",
  toNewest: "To the newest messages",
  newMessage: "New message from {name}: {text}",
  compose: "Write to {name}",
  write: "Write a message",
  send: "Send",
  closedWindow: "The customer's last message is more than 24 hours old: WhatsApp does not let you write until they do.",
  backToList: "Back to the conversations",
  toDecide: "Waiting for your yes",
  nothingToDecide: "No lesson waits for a decision.",
  proposed: "Asked for",
  confirmed: "Confirmed",
  confirm: "Confirm",
  cancel: "Cancel",
  cancelLesson: "Cancel lesson",
  confirmTitle: "Confirm this lesson?",
  cancelTitle: "Cancel this lesson?",
  toldOnWhatsApp: "{name} is told on WhatsApp. This cannot be undone.",
  yesConfirm: "Confirm lesson",
  yesCancel: "Cancel lesson",
  goBack: "Go back",
  conflict: "Overlaps with {name}, {time}",
  rivals: "Also asked for by {name}, {time}",
  isPast: "This time has passed.",
  weekView: "Calendar",
  previousWeek: "Previous week",
  nextWeek: "Next week",
  thisWeek: "Today",
  nextDay: "next day",
  feed: "In your own calendar",
  feedHint: "Subscribe to this secret address in your phone’s calendar. Whoever knows it sees your lessons.",
  feedMake: "Make an address",
  feedCopy: "Copy",
  feedCopied: "The address is copied.",
  feedRevoke: "Revoke",
  feedRevokeTitle: "Revoke this address?",
  feedRevokeText: "Every calendar that subscribes to it stops showing your lessons. You can make a new address.",
  feedAddress: "Address of the calendar",
  dismiss: "Dismiss",
  today: "Today",
  yesterday: "Yesterday",
  tomorrow: "Tomorrow",
  minutes: "{count} min",
  hours: "{count} h",
};

const LANGUAGES = { en, de };
const KEPT = "frostdesk.language";

let language = preferred();

function preferred() {
  const kept = localStorage.getItem(KEPT);
  if (kept in LANGUAGES) return kept;
  return (navigator.language ?? "").toLowerCase().startsWith("de") ? "de" : "en";
}

/** `en` or `de`. */
export function currentLanguage() {
  return language;
}

/** Change to the other language, for good. */
export function switchLanguage() {
  language = language === "en" ? "de" : "en";
  localStorage.setItem(KEPT, language);
}

/** The words called `key`, with `{…}` filled in. */
export function t(key, values = {}) {
  return LANGUAGES[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
