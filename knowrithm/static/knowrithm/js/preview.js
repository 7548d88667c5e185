// A chosen picture is shown before it is sent: <img data-preview-of="id of the file input">.

/** Wire every [data-preview-of] of the page. */
export function wirePreviews() {
  document.querySelectorAll("[data-preview-of]").forEach((image) => {
    const input = document.getElementById(image.dataset.previewOf);
    input.addEventListener("change", () => {
      const [file] = input.files;
      if (!file) return;
      const reader = new FileReader();
      reader.addEventListener("load", () => {
        image.src = reader.result;
        image.hidden = false;
        image.parentElement.querySelector("[data-preview-instead]")?.remove();
      });
      reader.readAsDataURL(file);
    });
  });
}
