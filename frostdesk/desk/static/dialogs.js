// What stands in front of the page: short notices, and the one question before what is final.

import { h, icon } from "./dom.js";
import { t } from "./words.js";

const NOTICE = 7_000;

let notices = null;

/** The place for notices, to be put into the page. A screen reader speaks them. */
export function noticePlace() {
  notices = h("div", { class: "notices", role: "status" });
  return notices;
}

/** Say something in passing. `kind` is `error` or nothing. */
export function say(text, kind = "") {
  const drop = () => notice.remove();
  const notice = h("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : false },
    h("span", {}, text || t("unreachable")),
    h("button", { class: "quiet", onclick: drop }, t("dismiss")));
  notices?.append(notice);
  setTimeout(drop, NOTICE);
}

/** Ask before something final. Resolves to whether the answer is yes; Escape is a no. */
export function ask({ title, lines, warning, yes, dangerous = false }) {
  return new Promise((resolve) => {
    const close = (answer) => () => dialog.close(answer);
    const no = h("button", { onclick: close("no"), autofocus: true }, t("goBack"));
    const go = h("button", { class: dangerous ? "danger" : "primary", onclick: close("yes") }, yes);
    const dialog = h("dialog", { "aria-labelledby": "question" },
      h("h2", { id: "question" }, title),
      lines.map((line) => h("p", {}, line)),
      warning && h("p", { class: "warning" }, icon("failed"), h("span", {}, warning)),
      h("div", { class: "actions" }, no, go));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
