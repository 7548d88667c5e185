// Every page loads this module. It wires behaviour by data attributes, so that fragments swapped in later need no setup.
import { askConfirmation } from "./confirm.js";
import { copyText } from "./copy.js";
import { openDrawer } from "./drawer.js";
import { wireDropzones } from "./dropzone.js";
import { wirePreviews } from "./preview.js";
import { wireThemeSwitch } from "./theme-switch.js";
import { showToast, wireToasts } from "./toast.js";

const confirmed = new WeakSet();

// Runs in the capture phase, before htmx sees the event: an unconfirmed submit goes nowhere.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!question || confirmed.delete(form)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const { confirmTitle, confirmAction } = { ...form.dataset, ...event.submitter?.dataset };
  if (await askConfirmation({ question, title: confirmTitle, action: confirmAction })) {
    confirmed.add(form);
    form.requestSubmit(event.submitter);
  }
}, true);

// A plain form that is on its way shows it, and cannot be sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog" || form.matches("[hx-post], [hx-get]")) return;
  const button = event.submitter ?? form.querySelector("[type=submit]");
  setTimeout(() => button?.setAttribute("aria-busy", "true"));
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("[aria-busy=true][type=submit]").forEach((button) => button.removeAttribute("aria-busy"));
});

document.addEventListener("click", async (event) => {
  const target = event.target instanceof Element ? event.target : null;
  closeMenusExcept(target?.closest("details.menu"));

  const actor = target?.closest("[data-copy], [data-reveal], [data-nav-toggle], [data-dialog-open], [data-dialog-close], [data-drawer]");
  if (!actor) return;
  if (actor.hasAttribute("data-copy")) {
    const copied = await copyText(document.getElementById(actor.dataset.copy).textContent);
    showToast(copied ? { text: "Copied" } : { text: "The browser did not allow copying: select the text instead", level: "error" });
  } else if (actor.hasAttribute("data-reveal")) {
    const input = document.getElementById(actor.dataset.reveal);
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    actor.setAttribute("aria-pressed", String(shown));
  } else if (actor.hasAttribute("data-nav-toggle")) {
    setNavigation(document.querySelector(".app").dataset.nav !== "open");
  } else if (actor.hasAttribute("data-dialog-open")) {
    document.getElementById(actor.dataset.dialogOpen).showModal();
  } else if (actor.hasAttribute("data-dialog-close")) {
    actor.closest("dialog").close();
  } else if (actor.hasAttribute("data-drawer")) {
    event.preventDefault();
    openDrawer({ url: actor.dataset.drawer || actor.href, title: actor.dataset.drawerTitle });
  }
});

// A press on the backdrop of a dialog lands on the dialog element itself.
document.addEventListener("mousedown", (event) => {
  if (event.target instanceof HTMLDialogElement && event.target.open) {
    const box = event.target.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) event.target.close();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  closeMenusExcept(null);
  menu?.querySelector("summary").focus();
  if (document.querySelector(".app")?.dataset.nav === "open") setNavigation(false);
});

// Filters send their form as soon as they change.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});

function closeMenusExcept(kept) {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (menu !== kept) menu.open = false;
  });
}

function setNavigation(open) {
  document.querySelector(".app").dataset.nav = open ? "open" : "closed";
  const toggle = document.querySelector(".nav-toggle");
  toggle.setAttribute("aria-expanded", String(open));
  if (open) document.querySelector(".sidebar a").focus();
  else toggle.focus();
}

// A row that asks for itself again waits while somebody is using it.
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (elt.matches("tr") && elt.querySelector("details[open], :focus")) event.preventDefault();
});

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  const texts = { 403: "You may not do that", 429: `Too many requests. Try again in ${event.detail.xhr.getResponseHeader("Retry-After")} seconds` };
  showToast({ text: texts[status] ?? `That did not work (error ${status}). Please try again`, level: "error" });
});
document.addEventListener("htmx:sendError", () => showToast({ text: "The server could not be reached", level: "error" }));

// A dialog whose form came back with errors is open again.
document.querySelector("dialog[data-open-on-load]")?.showModal();

wireThemeSwitch();
wireToasts();
wireDropzones();
wirePreviews();
