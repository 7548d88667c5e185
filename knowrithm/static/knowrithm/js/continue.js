// A visitor's page for one conversation: the person who has it is told that the visitor writes.
import { send } from "./http.js";

const TYPING_MILLISECONDS = 3000; // between two words of it; the inbox shows each for twice as long
const form = document.querySelector("form[data-typing]");
let said = 0;

form?.addEventListener("input", () => {
  if (Date.now() - said < TYPING_MILLISECONDS) return;
  said = Date.now();
  send(form.dataset.typing, { method: "POST" }).catch(() => {});
});
