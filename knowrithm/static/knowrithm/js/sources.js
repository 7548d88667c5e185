// An answer with its sources, as people see them: marks in the text, the list below it, and the passage in the drawer.
import { renderAnswer } from "./answer.js";
import { openDrawer } from "./drawer.js";

/**
 * Sources are counted from 1 in the order in which the text names them; `source_number`, by which the text names them, is
 * their place among all passages that were read. Before the sources are known (`isOpen`) every number counts as one.
 * Returns what says of a text about the answer the same with the numbers that are shown.
 */
export function renderCited(textNode, sourcesNode, { text, sources, isOpen }) {
  const byNumber = new Map(sources.map((source) => [source.source_number, source]));
  const order = new Map();
  const shown = (number) => order.get(number) ?? order.set(number, order.size + 1).get(number);
  renderAnswer(textNode, text, (number) => (isOpen || byNumber.has(number) ? citeButton(shown(number), byNumber.get(number)) : document.createTextNode(`[${number}]`)));
  const listed = sources.map((source) => [shown(source.source_number), source]).sort(([one], [other]) => one - other);
  sourcesNode.replaceChildren(...listed.map(([number, source]) => sourceButton(number, source)));
  return (about) => about.replace(/\bsource \d+(?: or \d+)*/g, (named) => named.replace(/\d+/g, (number) => order.get(Number(number)) ?? number));
}

/** What the server rendered into `place`: the text, the list of sources, and what is to be known of the answer. */
export function storedAnswer(place) {
  const sources = [...place.querySelectorAll("[data-sources] .source")].map(({ dataset }) => ({
    source_number: Number(dataset.number), document_name: dataset.name, passage_url: dataset.passage, locator_label: dataset.place,
  }));
  return { text: place.querySelector("[data-message-text]").textContent.trim(), sources, warnings: [...place.querySelectorAll("[data-warnings] li")].map((line) => line.textContent) };
}

/** Pressed marks and sources within `root` open their passage. */
export function openPassages(root) {
  root.addEventListener("click", (event) => {
    const source = event.target.closest("[data-passage]");
    if (source?.dataset.passage) openDrawer({ url: source.dataset.passage, title: source.dataset.name });
  });
}

/** The place within its document, whose name, as the first heading, is not said twice. */
function placeOf({ document_name: name, locator_label: label }) {
  if (!label || label === name) return "";
  return label.startsWith(`${name} › `) ? label.slice(name.length + 3) : label;
}

function citeButton(number, source) {
  const cite = document.createElement("button");
  cite.type = "button";
  cite.className = "cite";
  cite.textContent = number;
  cite.disabled = !source?.passage_url;
  if (source) {
    cite.title = [source.document_name, placeOf(source)].filter(Boolean).join(", ");
    cite.setAttribute("aria-label", `Source ${number}: ${cite.title}`);
    cite.dataset.passage = source.passage_url ?? "";
    cite.dataset.name = `Source ${number}`;
  }
  return cite;
}

function sourceButton(number, source) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "source";
  button.disabled = !source.passage_url;
  Object.assign(button.dataset, { number: source.source_number, name: source.document_name, passage: source.passage_url ?? "", place: source.locator_label ?? "" });
  const parts = [["cite", number], ["truncate", source.document_name], ["source-place", placeOf(source)]];
  button.append(...parts.filter(([, text]) => text).map(([name, text]) => Object.assign(document.createElement("span"), { className: name, textContent: text })));
  return button;
}
