// An answer's text as DOM nodes. Text is only ever set as text; nothing of it is read as HTML.
// Understood: blank-line paragraphs, "- " and "1. " lists, ``` blocks, **bold**, `code`, and [Source N] / [Source N, M] markers.

const INLINE = /\[(?:Source )?(\d+(?:\s*,\s*(?:Source )?\d+)*)\]|\*\*([^*\n]+)\*\*|`([^`\n]+)`/g;

/** Replace the children of `target` by `text`; `citation(number)` makes the node for one source marker. */
export function renderAnswer(target, text, citation) {
  target.replaceChildren(...blocks(text).map((block) => blockNode(block, citation)));
}

function blocks(text) {
  return text.split(/(```[\s\S]*?(?:```|$))/).flatMap((part) =>
    part.startsWith("```") ? [part] : part.split(/\n{2,}/).map((block) => block.trim()).filter(Boolean));
}

function blockNode(block, citation) {
  if (block.startsWith("```")) {
    const pre = document.createElement("pre");
    pre.textContent = block.replace(/^```[^\n]*\n?/, "").replace(/\n?```$/, "");
    return pre;
  }
  const lines = block.split("\n");
  for (const [tag, marker] of [["ul", /^\s*[-*•]\s+/], ["ol", /^\s*\d+[.)]\s+/]]) {
    if (lines.every((line) => marker.test(line))) {
      const list = document.createElement(tag);
      list.append(...lines.map((line) => inline("li", line.replace(marker, ""), citation)));
      return list;
    }
  }
  const paragraph = document.createElement("p");
  lines.forEach((line, index) => {
    if (index) paragraph.append(document.createElement("br"));
    paragraph.append(...inline("span", line, citation).childNodes);
  });
  return paragraph;
}

function inline(tag, text, citation) {
  const node = document.createElement(tag);
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    node.append(text.slice(end, match.index));
    end = match.index + match[0].length;
    const [, numbers, bold, code] = match;
    if (numbers) node.append(...numbers.match(/\d+/g).map((number) => citation(Number(number))));
    else if (bold) node.append(Object.assign(document.createElement("strong"), { textContent: bold }));
    else node.append(Object.assign(document.createElement("code"), { textContent: code }));
  }
  node.append(text.slice(end));
  return node;
}
