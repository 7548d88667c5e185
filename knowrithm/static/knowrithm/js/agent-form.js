// The agent form's model section: only the chosen provider's models, its key field where it wants one.
// #model-catalog (JSON) maps a provider's value to {requires_key, takes_base_url, models: [model values]}.

const form = document.querySelector("[data-agent-form]");
const catalog = JSON.parse(document.getElementById("model-catalog").textContent);
const provider = form.querySelector("[data-provider] select");
const model = form.querySelector("[data-model] select");
const settings = form.querySelector("[data-settings] select");
const options = [...model.options];

function refresh() {
  const chosen = catalog[provider.value];
  const selected = model.value;
  model.replaceChildren(...options.filter((option) => !option.value || chosen?.models.includes(option.value)));
  if ([...model.options].some((option) => option.value === selected)) model.value = selected;
  else model.selectedIndex = 0;
  const isShared = Boolean(settings?.value);
  form.querySelector("[data-needs-key]").hidden = isShared || chosen?.requires_key === false;
  form.querySelector("[data-needs-base-url]").hidden = isShared || chosen?.takes_base_url === false;
  form.querySelector("[data-keyless-note]").hidden = isShared || provider.value !== "builtin";
  for (const own of form.querySelectorAll("[data-provider], [data-model], [data-own]")) own.hidden = isShared;
}

// A key and an address belong to the provider they were typed for.
provider.addEventListener("change", () => {
  form.querySelectorAll("[data-needs-key] input, [data-needs-base-url] input").forEach((input) => { input.value = ""; });
  refresh();
});
settings?.addEventListener("change", refresh);
refresh();

// Hours are asked for only where there are any.
const hours = form.querySelector("[data-hours]");
const hasHours = form.querySelector("[data-hours-switch] input");
const showHours = () => { hours.hidden = !hasHours.checked; };
hasHours.addEventListener("change", showHours);
showHours();
