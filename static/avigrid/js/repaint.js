// What the reader was doing survives a repaint: a click under way, focus, open details, the scrolling of wide tables.
// And what a repaint brought is shown: what is new flashes once, a page that cannot follow says that it is older.
"use strict";
(() => {
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const ACTIVE = "a[href], button, input, select, summary, [tabindex]";
  const PRESSED = "a[href], button, input, select, textarea, summary, label";
  const HELD_MS = 3000;

  const place = (node, selector) => {
    const home = node.parentElement?.closest("[id]");
    return home ? [home.id, $$(selector, home).indexOf(node)] : null;
  };
  const at = ([id, index], selector) => { const home = document.getElementById(id); return home ? $$(selector, home)[index] : null; };
  let kept = null;
  const keep = () => {
    const focused = document.activeElement;
    const inFragment = focused?.closest("[id^='fragment-']");
    kept = {
      focus: inFragment ? (focused.id ? focused.id : place(focused, ACTIVE)) : null,
      open: $$("[id^='fragment-'] details[open]").map((node) => place(node, "details")).filter(Boolean),
      scrolled: $$("[id^='fragment-'] .scroll-x").filter((node) => node.scrollLeft > 0).map((node) => [place(node, ".scroll-x"), node.scrollLeft]),
    };
  };
  const restore = () => {
    for (const spot of kept?.open ?? []) { const node = at(spot, "details"); if (node) node.open = true; }
    for (const [spot, left] of kept?.scrolled ?? []) { const node = spot && at(spot, ".scroll-x"); if (node) node.scrollLeft = left; }
    const spot = kept?.focus;
    if (spot && !document.activeElement?.closest("[id^='fragment-']")) {
      const node = typeof spot === "string" ? document.getElementById(spot) : at(spot, ACTIVE);
      node?.focus({ preventScroll: true });
    }
    kept = null;
  };

  // A repaint between pressing and letting go would swallow the click: what arrives meanwhile waits, but never long.
  let pressed = false, timer = 0;
  const waiting = [];
  const flush = () => {
    if (pressed || !waiting.length) return;
    keep();
    for (const html of waiting.splice(0)) window.htmx.swap(document.body, html, { swapStyle: "none" });
    document.dispatchEvent(new CustomEvent("htmx:wsAfterMessage"));
  };
  const release = () => {
    pressed = false;
    clearTimeout(timer);
    setTimeout(flush, 30);
  };
  document.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary || !event.target.closest?.(PRESSED)) return;
    pressed = true;
    clearTimeout(timer);
    timer = setTimeout(release, HELD_MS);
  }, true);
  for (const name of ["pointerup", "pointercancel", "dragend", "contextmenu"]) document.addEventListener(name, release, true);
  window.addEventListener("blur", release);
  document.addEventListener("htmx:wsBeforeMessage", (event) => {
    if (!pressed && !waiting.length) { keep(); return; }
    waiting.push(event.detail.message);
    event.preventDefault();
  });

  // --- what is new ---------------------------------------------------------------------------------------------------
  const shown = new Set();
  const flash = (quietly) => {
    for (const node of $$("[data-fresh]")) {
      if (shown.has(node.dataset.fresh)) continue;
      shown.add(node.dataset.fresh);
      if (!quietly) node.classList.add("fresh");
    }
  };
  const markOf = () => document.getElementById("fragment-newer")?.dataset.mark;
  let mark;
  document.addEventListener("DOMContentLoaded", () => { mark = markOf(); flash(true); });
  document.addEventListener("htmx:wsAfterMessage", () => {
    restore();
    flash(false);
    if (markOf() !== mark) document.getElementById("newer-bar").hidden = false;
  });
})();
