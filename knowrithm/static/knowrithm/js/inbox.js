// The inbox. The server says that something is new (one event stream for the whole inbox), and the part of the page that
// shows it is asked for again. What people wrote comes as text that the server has escaped.
import { RequestError, send } from "./http.js";
import { openPassages, renderCited, storedAnswer } from "./sources.js";
import { readEvents } from "./sse.js";
import { showToast } from "./toast.js";

const TYPING_SECONDS = 3;
const RETRY_MILLISECONDS = [500, 1000, 3000, 10000];
const root = document.querySelector("[data-inbox]");
const { api, url, show } = root.dataset;
const conversation = root.dataset.conversation;
const parts = { list: root.querySelector('[data-part="list"]'), thread: root.querySelector('[data-part="thread"]') };
const canned = [...root.querySelectorAll("[data-canned] li")].map((li) => ({ shortcut: li.dataset.shortcut, text: li.textContent }));
let hiddenTimer = null;
let saidTyping = 0;

openPassages(root);
showAnswers();
wireComposer();
scrollDown();
markRead();
listen();
document.addEventListener("visibilitychange", markRead);

async function listen() {
  for (let attempt = 0; ; attempt += 1) {
    try {
      // From what the page has shown on: what was said while it came must not be missed.
      const response = await fetch(`${api}/inbox/stream`, { headers: { Accept: "text/event-stream", "Last-Event-ID": root.dataset.after } });
      if ([401, 403, 503].includes(response.status)) return;
      if (response.ok) {
        if (attempt) refresh(["list", "thread"]); // something may have been said meanwhile
        attempt = 0;
        for await (const { event, data } of readEvents(response)) hear(event, data);
      }
    } catch { /* the connection was lost: once more, below */ }
    await new Promise((resolve) => { setTimeout(resolve, RETRY_MILLISECONDS[Math.min(attempt, RETRY_MILLISECONDS.length - 1)]); });
  }
}

function hear(event, data) {
  if (event === "inbox") {
    const value = JSON.parse(data);
    refresh(value.conversation_id === conversation && value.what !== "read" ? ["list", "thread"] : ["list"]);
  }
  if (event === "chat_typing") {
    const value = JSON.parse(data);
    if (value.conversation_id === conversation && value.author.kind === "visitor") showTyping(value.is_typing);
  }
}

// Several events at once are one refresh; one that comes during a refresh is another.
const wanted = new Set();
let refreshing = false;
async function refresh(names) {
  names.forEach((name) => wanted.add(name));
  if (refreshing) return;
  refreshing = true;
  await new Promise((resolve) => { setTimeout(resolve, 120); });
  while (wanted.size) {
    const now = [...wanted];
    wanted.clear();
    await Promise.all(now.filter((name) => name === "list" || conversation).map(renew)).catch(() => {});
    window.htmx?.trigger(document.body, "marks");
  }
  refreshing = false;
}

async function renew(name) {
  const page = new URLSearchParams(location.search).get("page");
  const query = new URLSearchParams({ part: name, show, ...(conversation && { conversation }), ...(page && { page }) });
  const response = await send(`${url}?${query}`, { accept: "text/html" });
  if (response.redirected) { // to sign in
    location.reload();
    return;
  }
  const text = await response.text();
  if (name === "list") {
    parts.list.innerHTML = text;
    return;
  }
  if (parts.thread.querySelector(".menu[open]")) return; // somebody is choosing in it
  const before = keep();
  parts.thread.innerHTML = text;
  showAnswers();
  restore(before);
  markRead();
}

function keep() {
  const box = parts.thread.querySelector("textarea[name=message]");
  const log = parts.thread.querySelector("[data-log]");
  const note = parts.thread.querySelector("#is-note");
  const composer = parts.thread.querySelector("[data-composer]");
  return {
    text: box?.value ?? "", isNote: note?.checked, mine: composer?.dataset.mine, hasFocus: document.activeElement === box, place: box?.selectionStart ?? 0,
    isAtFoot: !log || log.scrollHeight - log.scrollTop - log.clientHeight < 80, top: log?.scrollTop ?? 0,
    isTyping: parts.thread.querySelector("[data-typing]")?.hidden === false, said: saidByVisitor(),
  };
}

function restore(before) {
  const box = parts.thread.querySelector("textarea[name=message]");
  const log = parts.thread.querySelector("[data-log]");
  const composer = parts.thread.querySelector("[data-composer]");
  if (box) box.value = before.text;
  if (composer && composer.dataset.mine === before.mine) parts.thread.querySelector("#is-note").checked = before.isNote;
  if (box && before.hasFocus) {
    box.focus({ preventScroll: true });
    box.setSelectionRange(before.place, before.place);
  }
  wireComposer();
  const typing = parts.thread.querySelector("[data-typing]");
  if (typing) typing.hidden = !before.isTyping || saidByVisitor() > before.said; // what was being written may have come
  if (before.isAtFoot) scrollDown();
  else if (log) log.scrollTop = before.top;
}

function saidByVisitor() {
  return parts.thread.querySelectorAll(".line-visitor").length;
}

/** What agents said, with the marks of its sources. */
function showAnswers() {
  parts.thread.querySelectorAll("[data-answer]").forEach((line) => {
    renderCited(line.querySelector("[data-message-text]"), line.querySelector("[data-sources]"), storedAnswer(line));
  });
}

function scrollDown() {
  const log = parts.thread.querySelector("[data-log]");
  if (log) log.scrollTop = log.scrollHeight;
}

function markRead() {
  const thread = parts.thread.querySelector("[data-thread]");
  if (!thread?.dataset.unread || document.hidden) return;
  thread.dataset.unread = "";
  send(`${api}/conversation/${conversation}/read`, { method: "POST" }).then(() => refresh(["list"])).catch(() => {});
}

function showTyping(isTyping) {
  const line = () => parts.thread.querySelector("[data-typing]"); // another one after each refresh
  if (!line()) return;
  line().hidden = !isTyping;
  clearTimeout(hiddenTimer);
  if (isTyping) hiddenTimer = setTimeout(() => { line()?.setAttribute("hidden", ""); }, 2000 * TYPING_SECONDS);
}

// --- Writing ---------------------------------------------------------------------------------------------------------

function wireComposer() {
  const form = parts.thread.querySelector("[data-composer]");
  if (!form) return;
  const box = form.querySelector("textarea");
  const note = form.querySelector("#is-note");
  const list = form.querySelector("[data-suggestions]");
  let chosen = 0;

  note.addEventListener("change", showMode);
  showMode();
  function showMode() {
    box.placeholder = note.checked && form.dataset.mine ? "Write a note for your team" : box.dataset.placeholder;
  }

  const found = () => {
    const typed = box.value.match(/^\/([\w-]*)$/u);
    return typed ? canned.filter(({ shortcut }) => shortcut.toLowerCase().startsWith(typed[1].toLowerCase())).slice(0, 8) : [];
  };
  const suggest = () => {
    const replies = found();
    chosen = Math.min(chosen, Math.max(replies.length - 1, 0));
    list.hidden = !replies.length;
    list.replaceChildren(...replies.map(({ shortcut, text }, index) => {
      const item = document.createElement("li");
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === chosen));
      item.append(Object.assign(document.createElement("strong"), { textContent: `/${shortcut}` }), Object.assign(document.createElement("span"), { textContent: text }));
      item.addEventListener("mousedown", (event) => { event.preventDefault(); insert(text); });
      return item;
    }));
  };
  const insert = (text) => {
    box.value = text;
    suggest();
    box.focus();
  };
  const tellTyping = (isTyping) => {
    if (note.checked || !form.dataset.mine) return;
    if (isTyping && Date.now() - saidTyping < 1000 * TYPING_SECONDS) return;
    saidTyping = isTyping ? Date.now() : 0;
    send(`${api}/conversation/${conversation}/typing`, { method: "POST", body: { is_typing: isTyping } }).catch(() => {});
  };

  box.addEventListener("input", () => {
    suggest();
    if (box.value) tellTyping(true);
  });
  box.addEventListener("keydown", (event) => {
    const replies = list.hidden ? [] : found();
    if (replies.length && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : replies.length - 1)) % replies.length;
      suggest();
    } else if (replies.length && ["Enter", "Tab"].includes(event.key) && !event.isComposing) {
      event.preventDefault();
      insert(replies[chosen].text);
    } else if (event.key === "Escape" && replies.length) {
      list.hidden = true;
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  box.addEventListener("blur", () => { list.hidden = true; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const message = box.value.trim();
    if (!message) return;
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    const path = note.checked ? "notes" : "handover/message";
    try {
      await send(`${api}/conversation/${conversation}/${path}`, { method: "POST", body: { message } });
      box.value = "";
      saidTyping = 0;
      await refresh(["list", "thread"]);
    } catch (error) {
      showToast({ text: error instanceof RequestError ? error.message : "The server could not be reached", level: "error" });
    } finally {
      button.disabled = false;
    }
  });
}
