// The form of a run: a field of the list goes into the box that was used last; a second click on Start sends nothing.
"use strict";
(() => {
  const form = document.querySelector(".research-form");
  if (!form) return;
  let box = form.elements.overrides;
  form.addEventListener("focusin", (event) => { if (event.target.matches("textarea")) box = event.target; });
  form.addEventListener("change", (event) => { if (event.target.name === "kind") box = event.target.value === "sweep" ? form.elements.axes : form.elements.overrides; });
  form.addEventListener("click", (event) => {
    const field = event.target.closest("[data-field]");
    if (!field) return;
    if (box.value && !box.value.endsWith("\n")) box.value += "\n";
    box.value += `${field.dataset.field}=${field.dataset.value}`;
    box.focus();
  });
  let sent = false;
  form.addEventListener("submit", (event) => { if (sent) event.preventDefault(); sent = true; });
  window.addEventListener("pageshow", () => { sent = false; });
  form.querySelector("[aria-invalid='true']")?.focus();
})();
