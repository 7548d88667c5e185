// The agent editor's preview: its texts follow the form as it is typed; its answers come from what was saved.

const form = document.querySelector("[data-agent-form]");
const preview = document.querySelector("[data-agent-preview]");
const heading = preview.querySelector(".chat-intro h2");
const welcome = preview.querySelector("[data-welcome]");
const starters = preview.querySelector(".starters");
const usualWelcome = "It answers from its documents, and shows where it says so.";

form.addEventListener("input", () => {
  preview.querySelector("[data-unsaved]").hidden = false;
  const { name, welcome_text: text, starter_questions: questions } = form.elements;
  heading.textContent = `Ask ${name.value}`;
  welcome.textContent = text.value || usualWelcome;
  starters.replaceChildren(...questions.value.split("\n").map((line) => line.trim()).filter(Boolean).map(starterButton));
});

function starterButton(question) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: question });
  button.dataset.starter = "";
  return button;
}
