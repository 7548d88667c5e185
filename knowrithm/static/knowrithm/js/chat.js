// The streaming chat: [data-chat] with data-api, data-agent and, once there is one, data-conversation;
// data-token makes it a visitor's chat, otherwise the session is the credential; data-draft asks the agent's draft.
import { RequestError, send } from "./http.js";
import { openPassages, renderCited, storedAnswer } from "./sources.js";
import { readEvents } from "./sse.js";
import { showToast } from "./toast.js";

const RECONNECTS = 4;
const BAD = -1; // a rating
const STAGES = { queued: "Waiting for a free worker", in_progress: "Working on the answer" };

document.querySelectorAll("[data-chat]").forEach(wireChat);

function wireChat(root) {
  const log = root.querySelector("[data-chat-log]");
  const form = root.querySelector("[data-chat-form]");
  const input = form?.querySelector("textarea");
  const button = form?.querySelector("[type=submit]");
  const editingNote = form?.querySelector("[data-editing-note]");
  const { api, agent, token } = root.dataset;
  const draft = root.hasAttribute("data-draft");
  let busy = false;
  let editing = null; // the question that is being changed
  let unsent = ""; // what stood in the composer before it

  log.querySelectorAll(".message-assistant").forEach((message) => {
    show(message, { ...storedAnswer(message), state: message.dataset.state });
    showRating(message, message.dataset.rating);
  });
  log.querySelector(".message:last-of-type")?.scrollIntoView({ block: "end" });
  openPassages(root);
  root.addEventListener("click", (event) => {
    const thumb = event.target.closest("[data-rate]");
    if (thumb) rate(thumb.closest(".message"), Number(thumb.dataset.rate));
    const close = event.target.closest("[data-comment-close]");
    if (close) closeComment(close.closest(".message"));
  });
  root.addEventListener("submit", (event) => {
    const comment = event.target.closest("[data-comment]");
    if (!comment) return;
    event.preventDefault();
    sendComment(comment.closest(".message"), comment.elements.comment.value.trim());
  });
  if (!form) return; // only to be read

  log.querySelectorAll(".message-assistant").forEach((message) => {
    wireRetry(message, message.previousElementSibling?.querySelector("[data-message-text]")?.textContent);
  });
  log.addEventListener("click", (event) => {
    const starter = event.target.closest("[data-starter]");
    if (starter && !busy) {
      log.focus({ preventScroll: true }); // the pressed button is about to disappear
      endChange();
      ask(starter.textContent.trim());
    }
    const stop = event.target.closest("[data-stop]");
    if (stop) stopAnswer(stop.closest(".message"));
    const again = event.target.closest("[data-again]");
    if (again && !busy) {
      cancelChange();
      answerAgain(again.closest(".message"));
    }
    const edit = event.target.closest("[data-edit]");
    if (edit && !busy) change(edit.closest(".message"));
  });
  form.querySelector("[data-edit-cancel]").addEventListener("click", cancelChange);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) cancelChange();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    ask(input.value.trim(), editing);
  });
  button.disabled = false; // until now nobody would have heard the form
  const unanswered = log.querySelector(".message-assistant:last-of-type[data-state=waiting]");
  if (unanswered) receive(unanswered);

  /** `edited` is the message of the question that this one replaces. */
  async function ask(question, edited = null) {
    if (busy || !question) return;
    input.value = "";
    if (edited) {
      endChange();
      edited.nextElementSibling.remove();
      edited.remove();
    }
    const asked = append("user");
    asked.querySelector("[data-message-text]").textContent = question;
    await answer(asked, question, edited?.dataset.id);
  }

  /** `instead` is the id of the question that this one replaces. */
  async function answer(asked, question, instead) {
    const message = append("assistant");
    wireRetry(message, question);
    await receive(message, async () => {
      root.dataset.conversation ||= await createConversation();
      const [url, method] = instead ? [`${api}/message/${instead}`, "PATCH"] : [`${conversationUrl()}/chat`, "POST"];
      const response = await send(url, { method, body: draft ? { message: question, draft } : { message: question }, token });
      asked.dataset.id = (await response.json()).message_id;
    });
  }

  async function answerAgain(message) {
    const { id } = message.dataset;
    const fresh = append("assistant");
    message.replaceWith(fresh);
    wireRetry(fresh, fresh.previousElementSibling?.querySelector("[data-message-text]")?.textContent);
    await receive(fresh, () => send(`${api}/message/${id}/regenerate`, { method: "POST", token }));
  }

  function stopAnswer(message) {
    const question = message.previousElementSibling?.dataset.id;
    if (question) send(`${api}/message/${question}/stop`, { method: "POST", token }).catch((error) => showToast({ text: error.message, level: "error" }));
  }

  function change(message) {
    if (!editing) unsent = input.value;
    editing = message;
    message.toggleAttribute("data-editing", true);
    editingNote.hidden = false;
    input.setAttribute("aria-describedby", "editing");
    input.value = message.querySelector("[data-message-text]").textContent;
    input.focus();
  }

  function cancelChange() {
    if (!editing) return;
    endChange();
    input.value = unsent;
    input.focus();
  }

  function endChange() {
    editing?.removeAttribute("data-editing");
    editing = null;
    editingNote.hidden = true;
    input.removeAttribute("aria-describedby");
  }

  async function rate(message, rating) {
    const next = message.dataset.rating === String(rating) ? null : rating;
    if (!await sendRating(message, { rating: next })) return;
    showRating(message, next);
    const comment = message.querySelector("[data-comment]");
    comment.reset();
    comment.hidden = next !== BAD;
    if (next !== BAD) return;
    comment.elements.comment.focus({ preventScroll: true });
    comment.scrollIntoView({ block: "nearest" }); // above the composer, which covers the foot
  }

  async function sendComment(message, comment) {
    if (comment) {
      if (!await sendRating(message, { rating: BAD, comment })) return;
      showToast({ text: "The comment was saved" });
    }
    closeComment(message);
  }

  async function sendRating(message, body) {
    try {
      await send(`${api}/message/${message.dataset.id}/feedback`, { method: "POST", body, token });
      return true;
    } catch (error) {
      showToast({ text: error.message, level: "error" });
      return false;
    }
  }

  function conversationUrl() {
    return `${api}/conversation/${root.dataset.conversation}`;
  }

  // Without `post` the question is with the server already: the page was loaded while it was being answered.
  async function receive(message, post = async () => {}) {
    setBusy(true);
    stage(message, "queued");
    try {
      await post();
      await follow(message, `${conversationUrl()}/messages/stream`);
    } catch (error) {
      fail(message, error instanceof RequestError ? error.message : "The connection was lost before the answer was complete.");
    } finally {
      setBusy(false);
    }
  }

  function wireRetry(message, question) {
    message.querySelector("[data-retry]").addEventListener("click", () => {
      if (busy) return;
      if (message.dataset.id) {
        answerAgain(message);
        return;
      }
      const asked = message.previousElementSibling;
      message.remove();
      answer(asked, question);
    });
  }

  async function createConversation() {
    const response = await send(`${api}/conversation`, { method: "POST", body: { agent_id: agent }, token });
    const { conversation } = await response.json();
    if (!token && !draft) history.replaceState(null, "", `?conversation=${conversation.id}`);
    return conversation.id;
  }

  // On each connection the server replays the newest turn from its start, so a reconnect begins with no text.
  async function follow(message, url) {
    for (let attempt = 0; attempt <= RECONNECTS; attempt += 1) {
      if (attempt) await new Promise((resolve) => { setTimeout(resolve, 500 * 2 ** attempt); });
      try {
        if (await followOnce(message, await send(url, { token, accept: "text/event-stream" }))) return;
      } catch (error) {
        if (error instanceof RequestError || attempt === RECONNECTS) throw error;
      }
    }
    throw new Error("the stream ended without an answer");
  }

  async function followOnce(message, response) {
    let text = "";
    let attempt = 1;
    for await (const { event, data } of readEvents(response)) {
      const value = event === "heartbeat" ? null : JSON.parse(data);
      if (event === "chat_status") stage(message, value.status);
      if (event === "chat_delta" && (value.attempt ?? 1) >= attempt) {
        text = (value.attempt ?? 1) > attempt ? value.text : text + value.text; // another worker begins the answer anew
        attempt = value.attempt ?? 1;
        show(message, { text, sources: [], state: "streaming" });
      }
      if (event === "chat_response") {
        message.dataset.id = value.message.id;
        const inside = message.querySelector("[data-inside]");
        if (inside) inside.href = inside.dataset.inside + value.message.id;
        if (value.status === "failed") fail(message, value.error, value.message);
        else show(message, { text: value.message.content, sources: value.message.sources, state: value.message.is_blocked ? "blocked" : value.message.is_refusal ? "refused" : "answered", version: versionOf(value.message), suggestions: value.message.suggestions, warnings: value.message.metadata.citation_warnings });
        keepInView(message);
        return true;
      }
    }
    return false;
  }

  function append(role) {
    const template = root.querySelector(`template[data-message="${role}"]`);
    const message = template.content.firstElementChild.cloneNode(true);
    log.append(message);
    keepInView(message);
    return message;
  }

  function setBusy(on) {
    busy = on;
    button.disabled = on;
    log.setAttribute("aria-busy", String(on));
    if (!on) input.focus({ preventScroll: true });
  }
}

function stage(message, status) {
  if (message.dataset.state === "waiting" && STAGES[status]) message.querySelector("[data-stage]").textContent = STAGES[status];
}

function fail(message, text, record) {
  show(message, { text: text || "The answer could not be written.", sources: [], state: "failed", version: record && versionOf(record) });
  const partial = message.querySelector("[data-partial]");
  if (!partial || !record?.partial_content) return;
  partial.hidden = false;
  partial.querySelector("div").textContent = record.partial_content;
}

function showRating(message, rating) {
  message.dataset.rating = rating ?? "";
  message.querySelectorAll("[data-rate]").forEach((thumb) => thumb.setAttribute("aria-pressed", String(thumb.dataset.rate === message.dataset.rating)));
}

function closeComment(message) {
  message.querySelector("[data-comment]").hidden = true;
  message.querySelector(`[data-rate="${BAD}"]`).focus(); // the pressed button is gone
}

/** Which version of the agent answered, for the company's people. */
function versionOf({ is_draft: isDraft, agent_version: number, answered_by: specialist }) {
  if (isDraft) return "Draft";
  if (specialist && number) return `${specialist.name}, version ${number}`;
  return number ? `Version ${number}` : "";
}

function show(message, { text, sources, state, version, suggestions, warnings = [] }) {
  message.dataset.state = state;
  if (suggestions) message.querySelector("[data-suggestions]").replaceChildren(...suggestions.map(suggestionButton));
  const place = message.querySelector("[data-version]");
  if (place && version !== undefined) place.textContent = version;
  const withShownNumbers = renderCited(message.querySelector("[data-message-text]"), message.querySelector("[data-sources]"), { text, sources, isOpen: state === "streaming" });
  const lines = warnings.map((warning) => Object.assign(document.createElement("li"), { textContent: withShownNumbers(warning) }));
  message.querySelector("[data-warnings]")?.replaceChildren(...lines);
  message.querySelector(".note-slow").getAnimations().forEach((wait) => { wait.currentTime = 0; }); // something came
  keepInView(message);
}

function suggestionButton(text) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "button button-sm", dir: "auto", textContent: text });
  button.dataset.starter = "";
  return button;
}

function keepInView(message) {
  const nearFoot = window.innerHeight + window.scrollY > document.documentElement.scrollHeight - 220;
  if (nearFoot) message.scrollIntoView({ block: "end" });
}
