// Door pages: copy what is shown once, or print it. Without it the text can still be selected and printed.
"use strict";
(() => {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard) continue; // only over https, and on this machine
    button.hidden = false;
    button.addEventListener("click", async () => {
      const parts = [...document.querySelectorAll(button.dataset.copy)];
      await navigator.clipboard.writeText(parts.map((part) => part.textContent.replace(/\s/g, "")).join("\n"));
      button.textContent = button.dataset.done;
    });
  }
  for (const button of document.querySelectorAll("button[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
})();
