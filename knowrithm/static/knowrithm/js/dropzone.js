// File drop zones: <form hx-post …><label class="dropzone" data-dropzone><input type="file">…</label><progress></form>.
// Choosing or dropping files sends the form at once; the <progress> beside shows how much has been sent.

/** Wire every [data-dropzone] of the page. */
export function wireDropzones() {
  document.querySelectorAll("[data-dropzone]").forEach((zone) => {
    const input = zone.querySelector("input[type=file]");
    const form = input.form;
    const progress = form.querySelector("[data-upload-progress]");
    const over = (on) => zone.toggleAttribute("data-over", on);

    zone.addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
    zone.addEventListener("dragleave", () => over(false));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      if (!event.dataTransfer.files.length) return;
      input.files = event.dataTransfer.files;
      form.requestSubmit();
    });
    input.addEventListener("change", () => input.files.length && form.requestSubmit());

    form.addEventListener("htmx:xhr:progress", ({ detail }) => {
      if (!progress || !detail.lengthComputable) return;
      progress.hidden = false;
      progress.max = detail.total;
      progress.value = detail.loaded;
    });
    form.addEventListener("htmx:afterRequest", ({ detail }) => {
      if (progress) progress.hidden = true;
      if (detail.elt === form && detail.successful) input.value = "";
    });
  });
}
