// The theme switch: [data-theme-choice="light|dark|system"] buttons, one of them pressed.

/** Wire the buttons; the choice is kept in localStorage, "system" removes it. */
export function wireThemeSwitch() {
  const buttons = [...document.querySelectorAll("[data-theme-choice]")];
  const mark = () => {
    const current = document.documentElement.dataset.theme ?? "system";
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.themeChoice === current)));
  };
  buttons.forEach((button) => button.addEventListener("click", () => {
    const choice = button.dataset.themeChoice;
    if (choice === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    try {
      if (choice === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", choice);
    } catch {
      // Without storage the choice lasts for this page.
    }
    mark();
  }));
  mark();
}
