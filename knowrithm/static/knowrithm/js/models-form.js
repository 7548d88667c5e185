// The form of model settings: in each part only the chosen provider's models, its key and address where it wants them.
// #model-catalog (JSON) maps a part and a provider to {requires_key, takes_base_url, base_url, models: [model values]}.

const catalog = JSON.parse(document.getElementById("model-catalog").textContent);

for (const part of document.querySelectorAll("[data-models-form] [data-part]")) {
  const providers = catalog[part.dataset.part];
  const provider = part.querySelector("[data-provider] select");
  const model = part.querySelector("[data-model] select");
  const key = part.querySelector("[data-needs-key]");
  const address = part.querySelector("[data-needs-base-url]");
  const options = [...model.options];

  const refresh = () => {
    const chosen = providers[provider.value];
    const selected = model.value;
    model.replaceChildren(...options.filter((option) => chosen?.models.includes(option.value)));
    if ([...model.options].some((option) => option.value === selected)) model.value = selected;
    else model.selectedIndex = 0;
    // A server of one's own may want a key, or none.
    key.hidden = chosen?.requires_key === false && chosen?.takes_base_url === false;
    address.hidden = chosen?.takes_base_url === false;
    address.querySelector("input").placeholder = chosen?.base_url ?? "";
  };

  // A key and an address belong to the provider they were typed for.
  provider.addEventListener("change", () => {
    for (const input of [key.querySelector("input"), address.querySelector("input")]) input.value = "";
    refresh();
  });
  refresh();
}
