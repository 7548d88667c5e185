// One confirm dialog per page: #confirm-dialog (components/confirm_dialog.html).

/** Ask; resolves to true when the person agrees. */
export function askConfirmation({ question, title = "Are you sure?", action = "Continue" }) {
  const dialog = document.getElementById("confirm-dialog");
  dialog.querySelector("[data-confirm-title-slot]").textContent = title;
  dialog.querySelector("[data-confirm-text-slot]").textContent = question;
  dialog.querySelector("[value=confirm]").textContent = action;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "confirm"), { once: true });
  });
}
