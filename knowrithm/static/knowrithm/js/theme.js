// Loaded blocking in <head>: the chosen theme is on <html> before the first paint.
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be refused; the system's theme stands.
  }
})();
