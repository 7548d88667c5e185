// One side panel per page: #drawer (components/drawer.html), filled with an HTML fragment of our own server.

/** Open the panel and load `url` into it through htmx, which refuses other origins. */
export function openDrawer({ url, title = "Source" }) {
  const drawer = document.getElementById("drawer");
  const body = drawer.querySelector("[data-drawer-body]");
  drawer.querySelector("[data-drawer-title-slot]").textContent = title;
  body.replaceChildren(document.getElementById("drawer-loading").content.cloneNode(true));
  if (!drawer.open) drawer.showModal();
  window.htmx.ajax("GET", url, { target: body, swap: "innerHTML" }).catch(() => {
    body.textContent = "This passage could not be loaded.";
  });
}
