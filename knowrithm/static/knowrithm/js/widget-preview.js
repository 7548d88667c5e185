// The preview page: hands the widget what the designer has not saved yet.

const unsaved = document.getElementById("widget-config");
if (unsaved) window.AIChatWidget = JSON.parse(unsaved.textContent);
