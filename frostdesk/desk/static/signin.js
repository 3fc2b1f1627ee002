// The page before anybody is signed in.

import { h } from "./dom.js";
import { t } from "./words.js";

/** Ask for the token. `onToken(token)` resolves to what is wrong with it, or to an empty text. */
export function showSignIn({ notice, onToken, onLanguage }) {
  const error = h("p", { class: "error", role: "alert" }, notice);
  const input = h("input", {
    id: "token", type: "password", autocomplete: "current-password", required: true,
    spellcheck: "false", autocapitalize: "none", "aria-describedby": "token-hint",
  });
  const button = h("button", { class: "primary", type: "submit" }, t("signIn"));
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = await onToken(input.value.trim());
    button.disabled = false;
    if (error.textContent) input.select();
  };
  const form = h("form", { onsubmit: submit },
    h("span", { class: "logo", "aria-hidden": "true" }),
    h("h1", {}, "FrostDesk"),
    h("p", { class: "muted" }, t("title")),
    h("label", { for: "token" }, t("token")),
    input,
    h("p", { class: "muted small", id: "token-hint" }, t("tokenHint")),
    error,
    button,
    h("button", { class: "quiet", type: "button", onclick: onLanguage }, t("language")));
  document.body.replaceChildren(h("main", { class: "sign-in" }, form));
  input.focus();
}
