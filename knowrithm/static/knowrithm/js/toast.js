// Short messages at the head of the page: Django's messages, replies to fragments (HX-Trigger "toast"), our own.
import { icon } from "./icon.js";
import { csrfToken } from "./http.js";

const SECONDS = { success: 5, info: 5, warning: 9, error: 9 };
const SECONDS_WITH_UNDO = 10;

/** Show a toast; `undoUrl`, when given, is POSTed by its Undo button. */
export function showToast({ text, level = "success", undoUrl }) {
  const toast = document.createElement("div");
  toast.className = `toast toast-${level}`;
  const words = document.createElement("span");
  words.textContent = text;
  toast.append(icon(level === "error" || level === "warning" ? "alert" : "check"), words);
  if (undoUrl) toast.append(undoForm(undoUrl));
  const close = document.createElement("button");
  close.type = "button";
  close.setAttribute("aria-label", "Dismiss");
  close.append(icon("close"));
  toast.append(close);
  document.getElementById("toasts").append(toast);
  wire(toast);
}

/** Wire the toasts that came with the page, and listen for those of fragments. */
export function wireToasts() {
  document.querySelectorAll("#toasts .toast").forEach(wire);
  document.addEventListener("toast", (event) => showToast(event.detail));
}

function wire(toast) {
  const close = toast.querySelector("button[aria-label=Dismiss]");
  close.addEventListener("click", () => toast.remove());
  const level = ["error", "warning", "info"].find((name) => toast.classList.contains(`toast-${name}`)) ?? "success";
  const seconds = toast.querySelector("form") ? SECONDS_WITH_UNDO : SECONDS[level];
  let timer = setTimeout(() => toast.remove(), seconds * 1000);
  const hold = () => clearTimeout(timer);
  const release = () => { timer = setTimeout(() => toast.remove(), 2500); };
  toast.addEventListener("mouseenter", hold);
  toast.addEventListener("mouseleave", release);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("focusout", release);
}

function undoForm(url) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = url;
  for (const [name, value] of [["csrfmiddlewaretoken", csrfToken()], ["next", location.pathname + location.search]]) {
    const input = document.createElement("input");
    input.type = "hidden";
    input.name = name;
    input.value = value;
    form.append(input);
  }
  const button = document.createElement("button");
  button.className = "toast-undo";
  button.textContent = "Undo";
  form.append(button);
  return form;
}
