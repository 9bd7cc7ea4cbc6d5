// Toasts: answers go after a while or at a click; a critical alert stays until somebody clicks it, over reloads too. A
// request that got no answer is never passed over in silence.
"use strict";
(() => {
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const TOAST_MS = 8000, SEEN_KEY = "alerts-seen", SEEN_MOST = 500, REFUSALS = [400, 403, 409, 422];
  const seen = () => new Set(JSON.parse(localStorage.getItem(SEEN_KEY) ?? "[]"));
  const gone = new Map();

  const dismiss = (toast) => {
    if (toast.dataset.alert) localStorage.setItem(SEEN_KEY, JSON.stringify([...seen().add(toast.dataset.alert)].slice(-SEEN_MOST)));
    toast.remove();
  };
  const settle = () => {
    const known = seen();
    for (const toast of $$("#toasts .toast")) {
      const key = toast.dataset.alert ?? toast;
      if (known.has(key)) toast.remove();
      else if (!toast.matches(".critical, [data-lasting]") && !gone.has(key)) gone.set(key, Date.now() + TOAST_MS);
    }
    for (const box of $$("#toasts .alerts")) box.dataset.settled = "";
  };
  setInterval(() => {
    for (const toast of $$("#toasts .toast")) if (gone.get(toast.dataset.alert ?? toast) < Date.now()) dismiss(toast);
  }, 1000);
  document.addEventListener("click", (event) => { const toast = event.target.closest("#toasts .toast"); if (toast && !event.target.closest("a")) dismiss(toast); });
  for (const name of ["DOMContentLoaded", "htmx:afterSwap", "htmx:wsAfterMessage"]) document.addEventListener(name, settle);
  window.addEventListener("storage", (event) => { if (event.key === SEEN_KEY) settle(); });

  // --- requests that failed -------------------------------------------------------------------------------------------
  const tell = (name, status, dialog) => {
    const note = document.getElementById(name).content.firstElementChild.cloneNode(true);
    for (const code of $$("[data-code]", note)) code.textContent = status || "–";
    document.getElementById("toasts").append(note);
    if (!dialog) return;  // what lies behind an open dialog is neither heard nor within reach
    for (const old of $$("[data-failure]", dialog)) old.remove();
    const inside = note.cloneNode(true);
    inside.className = "notice alarm";
    inside.dataset.failure = "";
    dialog.prepend(inside);
  };
  const isPage = (xhr) => /^\s*<!doctype/i.test(xhr.responseText);
  // a refusal is an answer worth showing, unless it is a whole page
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (REFUSALS.includes(xhr.status) && !isPage(xhr)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
  // Heard from the request itself: the button that asked may have been repainted away, and its events with it.
  document.addEventListener("htmx:beforeSend", (event) => {
    const { xhr, requestConfig } = event.detail;
    const dialog = event.target.closest("[data-closes-dialog]")?.closest("dialog");
    xhr.addEventListener("loadend", () => {
      const isAnswer = (xhr.status >= 200 && xhr.status < 400) || (REFUSALS.includes(xhr.status) && !isPage(xhr));
      if (isAnswer) { dialog?.close(); return; }
      if (leaving || (xhr.status && xhr.getResponseHeader("HX-Redirect"))) return;
      const isRead = requestConfig.verb === "get";
      tell(isRead ? "toast-not-loaded" : xhr.status && xhr.status < 500 ? "toast-not-done" : "toast-no-answer", xhr.status, dialog?.open ? dialog : null);
    });
  });
  let leaving = false;
  window.addEventListener("pagehide", () => { leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });
})();
