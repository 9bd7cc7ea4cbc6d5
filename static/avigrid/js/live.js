// The live line: says when what you see is out of date, reconnects after silence and sleep, sends to the login page when
// access ends; keeps focus and open details where they were when a fragment is replaced; lets toasts go.
"use strict";
(() => {
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const PING_MS = 8000, SILENT_MS = 20000, TOAST_MS = 8000;
  const HTMX_RECONNECTS = [1006, 1011, 1012, 1013];
  let lastHeard = Date.now(), wrapper = null, current = null, leaving = false;

  const setLine = (up) => {
    const bar = document.getElementById("offline-bar");
    if (bar) bar.hidden = up;
    document.documentElement.dataset.line = up ? "up" : "down";
  };
  const toLogin = () => { leaving = true; location.assign(`/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`); };
  const reconnect = () => { current = null; lastHeard = Date.now(); wrapper?.reconnect(); };

  document.addEventListener("htmx:wsOpen", (event) => {
    wrapper = event.detail.socketWrapper;
    current = event.detail.event.target;
    lastHeard = Date.now();
    setLine(true);
  });
  document.addEventListener("htmx:wsClose", (event) => {
    const { code, target } = event.detail.event;
    if (code === 4401) { toLogin(); return; }
    setLine(false);
    // the extension itself comes back only after abnormal ends; a socket that was replaced may go
    if (leaving || code === 4403 || HTMX_RECONNECTS.includes(code) || target !== current) return;
    setTimeout(reconnect, 500 + Math.random() * 1500);
  });
  document.addEventListener("htmx:wsError", () => setLine(false));
  window.addEventListener("pagehide", () => { leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });
  setInterval(() => {
    if (!wrapper || leaving) return;
    const silent = Date.now() - lastHeard;
    if (silent > SILENT_MS) { setLine(false); reconnect(); }
    else if (silent > PING_MS && current?.readyState === WebSocket.OPEN) wrapper.send("ping");
  }, 2000);

  // --- what the reader was doing survives a repaint ---------------------------------------------------------------
  const ACTIVE = "a[href], button, input, select, summary, [tabindex]";
  const place = (node, selector) => {
    const home = node.parentElement?.closest("[id]");
    return home ? [home.id, $$(selector, home).indexOf(node)] : null;
  };
  const at = ([id, index], selector) => $$(selector, document.getElementById(id) ?? undefined)[index];
  let kept = null;
  // a repaint between pressing and letting go would swallow the click: what arrives meanwhile waits
  let pressed = false;
  const waiting = [];
  const release = () => {
    pressed = false;
    if (waiting.length) setTimeout(() => { keep(); for (const html of waiting.splice(0)) window.htmx.swap(document.body, html, { swapStyle: "none" }); restore(); }, 30);
  };
  document.addEventListener("pointerdown", () => { pressed = true; }, true);
  for (const name of ["pointerup", "pointercancel", "dragend"]) document.addEventListener(name, release, true);
  window.addEventListener("blur", release);
  document.addEventListener("htmx:wsBeforeMessage", (event) => {
    if (pressed) {
      lastHeard = Date.now();
      waiting.push(event.detail.message);
      event.preventDefault();
      return;
    }
    keep();
  });
  const keep = () => {
    const focused = document.activeElement;
    const inFragment = focused?.closest("[id^='fragment-']");
    kept = {
      focus: inFragment ? (focused.id ? focused.id : place(focused, ACTIVE)) : null,
      open: $$("[id^='fragment-'] details[open]").map((node) => place(node, "details")).filter(Boolean),
    };
  };
  document.addEventListener("htmx:wsAfterMessage", () => {
    lastHeard = Date.now();
    setLine(true);
    restore();
  });
  const restore = () => {
    for (const spot of kept?.open ?? []) { const node = document.getElementById(spot[0]) && at(spot, "details"); if (node) node.open = true; }
    const spot = kept?.focus;
    if (spot && !document.activeElement?.closest("[id^='fragment-']")) {
      const node = typeof spot === "string" ? document.getElementById(spot) : document.getElementById(spot[0]) && at(spot, ACTIVE);
      node?.focus({ preventScroll: true });
    }
    kept = null;
    settle();
  };

  // --- toasts: answers and alerts, gone after a while or at a click ---------------------------------------------------
  const seen = new Set(JSON.parse(sessionStorage.getItem("alerts-seen") ?? "[]"));
  const dismiss = (toast) => {
    if (toast.dataset.alert) {
      seen.add(toast.dataset.alert);
      sessionStorage.setItem("alerts-seen", JSON.stringify([...seen].slice(-200)));
    }
    toast.remove();
  };
  const settle = () => {
    for (const toast of $$("#toasts .toast")) {
      if (toast.dataset.alert && seen.has(toast.dataset.alert)) toast.remove();
      else if (!toast.dataset.gone) toast.dataset.gone = toast.dataset.goneAt ? Date.parse(toast.dataset.goneAt) : Date.now() + TOAST_MS;
    }
  };
  setInterval(() => { for (const toast of $$("#toasts .toast[data-gone]")) if (Number(toast.dataset.gone) < Date.now()) dismiss(toast); }, 1000);
  document.addEventListener("click", (event) => { const toast = event.target.closest("#toasts .toast"); if (toast && !event.target.closest("a")) dismiss(toast); });
  document.addEventListener("htmx:afterSwap", settle);
  document.addEventListener("DOMContentLoaded", settle);
})();
