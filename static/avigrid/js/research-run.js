// A run that ends while one looks at it: its outcome is fetched once, below its state.
"use strict";
(() => {
  let asked = false;
  const look = () => {
    const outcome = document.getElementById("outcome");
    if (asked || !outcome || "shown" in outcome.dataset) return;
    if (!document.querySelector("#fragment-research_run[data-over]")) return;
    asked = true;
    window.htmx.ajax("GET", outcome.dataset.url, { target: outcome, swap: "outerHTML" }).catch(() => { asked = false; });
  };
  document.addEventListener("htmx:wsAfterMessage", look);
  document.addEventListener("DOMContentLoaded", look);
})();
