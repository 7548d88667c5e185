// The widget's designer: the preview follows the form, and a colour that can hardly be seen is said so.

const form = document.querySelector("[data-widget-form]");
const frame = document.querySelector("[data-widget-preview]");
const opened = document.querySelector("[data-preview-open]");
const warning = document.querySelector("[data-contrast]");
const LEAST = 3; // WCAG 2.2, 1.4.11: what is operated stands out from what is around it by so much
const WHITE = [255, 255, 255], BLACK = [0, 0, 0];

let timer = 0;

function showPreview() {
  const values = new URLSearchParams(new FormData(form));
  values.delete("csrfmiddlewaretoken");
  if (opened.checked) values.set("open", "1");
  // Replaced, so that the browser's way back leads out of this page and not through all that was typed.
  frame.contentWindow.location.replace(`${frame.dataset.widgetPreview}?${values}`);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

function refresh() {
  const ask = new FormData(form).get("ask");
  for (const part of form.querySelectorAll("[data-asks]")) part.hidden = !part.dataset.asks.split(" ").includes(ask);
  const color = form.elements.color.value.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  const isDark = form.elements.theme.value === "dark";
  const found = contrast(color, isDark ? BLACK : WHITE);
  warning.hidden = found >= LEAST;
  const page = isDark ? "a black" : "a white";
  warning.textContent = `The button hardly stands out on ${page} page: ${found.toFixed(1)} to 1, where ${LEAST} to 1 is needed.`;
}

form.addEventListener("input", () => {
  refresh();
  clearTimeout(timer);
  timer = setTimeout(showPreview, 400);
});
opened.addEventListener("change", showPreview);
refresh();
showPreview();
