// Times: the server's clock, countdowns by it, and moments as the reader's own clock shows them.
"use strict";
(() => {
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const pad = (n) => String(n).padStart(2, "0");
  let offset = 0, taken = null;

  // A machine may be minutes wrong. The page says when it was made, and each ping comes back with the server's time.
  const adopt = () => {
    const clock = document.getElementById("server-clock");
    if (!clock || clock === taken) return;
    taken = clock;
    const arrived = performance.getEntriesByType?.("navigation")[0]?.responseStart;
    const here = clock.dataset.echo ? (Number(clock.dataset.echo) + Date.now()) / 2 : arrived ? performance.timeOrigin + arrived : Date.now();
    offset = Number(clock.dataset.ms) - here;
  };

  const dateOf = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  const localTimes = () => {
    for (const node of $$("time[datetime]:not([data-done])")) {
      const at = new Date(node.getAttribute("datetime"));
      if (isNaN(at)) continue;
      node.title = at.toISOString().replace("T", " ").slice(0, 19) + " UTC";
      node.textContent = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
      if (node.dataset.ms !== undefined) node.textContent += `.${String(at.getMilliseconds()).padStart(3, "0")}`;
      if (node.dataset.date !== undefined) node.textContent = `${dateOf(at)} ` + node.textContent;
      node.dataset.done = "";
    }
  };
  const tick = () => {
    adopt();
    const now = Date.now() + offset;
    for (const node of $$("[data-until]")) {
      const left = Math.max(0, Math.round((Date.parse(node.dataset.until) - now) / 1000));
      node.textContent = left >= 60 ? `${Math.floor(left / 60)}:${pad(left % 60)}` : `${left} ${document.documentElement.dataset.second}`;
    }
    // only the offer's own end ends it: a countdown on it may run to something good
    for (const card of $$("[data-expires]")) card.classList.toggle("over", Date.parse(card.dataset.expires) <= now);
    for (const node of $$("progress[data-from][data-to]")) {
      const from = Date.parse(node.dataset.from), to = Date.parse(node.dataset.to);
      node.value = Math.max(0, Math.min(1, (to - now) / (to - from)));
    }
    localTimes();
  };
  setInterval(tick, 1000);
  for (const name of ["DOMContentLoaded", "htmx:wsAfterMessage", "htmx:afterSwap"]) document.addEventListener(name, tick);
})();
