// The start: who is signed in, and the page for them. Signing out leaves nothing behind.

import { Api } from "./api.js";
import { say } from "./dialogs.js";
import { Shell } from "./shell.js";
import { showSignIn } from "./signin.js";
import { Store } from "./store.js";
import { Sync } from "./sync.js";
import { setZone } from "./times.js";
import { currentLanguage, switchLanguage, t } from "./words.js";

const TOKEN = "frostdesk.token";

async function start() {
  document.documentElement.lang = currentLanguage();
  const token = sessionStorage.getItem(TOKEN);
  if (!token) return signIn();
  const config = await readConfig().catch(() => null);
  if (config) open(token, config);
  else signIn(t("unreachable"));
}

async function readConfig() {
  const answer = await fetch("/desk/config.json");
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

function signIn(notice = "") {
  const again = () => {
    switchLanguage();
    document.documentElement.lang = currentLanguage();
    signIn();
  };
  showSignIn({ notice, onLanguage: again, onToken: tryToken });
}

/** What is wrong with the token, or nothing: then the desk is open. */
async function tryToken(token) {
  if (/[^\x21-\x7e]/.test(token)) return t("tokenWrong"); // no header can carry it
  try {
    const config = await readConfig();
    await new Api(token, () => {}).page("/conversations", null, 1);
    sessionStorage.setItem(TOKEN, token);
    open(token, config);
    return "";
  } catch (error) {
    return error.status === 401 ? t("tokenWrong") : error.message || t("unreachable");
  }
}

function open(token, config) {
  setZone(config.timezone);
  const store = new Store();
  const leave = (notice) => {
    sessionStorage.removeItem(TOKEN);
    shell.close();
    sync.stop();
    signIn(notice);
  };
  const api = new Api(token, () => leave(t("signedOut")));
  const sync = new Sync({
    api,
    store,
    config,
    announce: (row) => shell.announce(row),
    fail: (error) => say(error.message, "error"),
  });
  let shell;
  const draw = () => {
    shell?.close();
    document.documentElement.lang = currentLanguage();
    shell = new Shell({ api, store, sync, leave, onLanguage: () => (switchLanguage(), draw()) });
  };
  draw();
}

start();
