// A replay's two answers, as the chat shows them. They are swapped in when they are ready.
import { renderCited, storedAnswer } from "./sources.js";

const shown = new WeakSet();

function showAnswers() {
  document.querySelectorAll("[data-answer]").forEach((side) => {
    if (shown.has(side)) return;
    shown.add(side);
    const answer = storedAnswer(side);
    const withShownNumbers = renderCited(side.querySelector("[data-message-text]"), side.querySelector("[data-sources]"), answer);
    side.querySelectorAll("[data-warnings] li").forEach((line) => { line.textContent = withShownNumbers(line.textContent); });
  });
}

document.addEventListener("htmx:load", showAnswers);
showAnswers();
