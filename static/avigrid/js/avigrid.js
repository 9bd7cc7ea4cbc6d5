// The desk's own script: CSRF for htmx, countdowns, local times, dialogs, keyboard, title. No eval, no inline.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const cookie = (name) => document.cookie.split("; ").find((c) => c.startsWith(name + "="))?.slice(name.length + 1) ?? "";

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = cookie("avigrid_csrf");
  });
  // a refusal is an answer worth showing, not an error to swallow
  document.addEventListener("htmx:beforeSwap", (event) => {
    if ([400, 403, 409, 422].includes(event.detail.xhr.status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });

  // --- times -----------------------------------------------------------------------------------------------------
  const pad = (n) => String(n).padStart(2, "0");
  const dateOf = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  const localTimes = (root = document) => {
    for (const node of $$("time[datetime]:not([data-done])", root)) {
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
    const now = Date.now();
    for (const node of $$("[data-until]")) {
      const left = Math.max(0, Math.round((Date.parse(node.dataset.until) - now) / 1000));
      node.textContent = left >= 60 ? `${Math.floor(left / 60)}:${pad(left % 60)}` : `${left} ${document.documentElement.dataset.second}`;
      const card = node.closest("[data-expires]");
      if (card && left === 0) card.classList.add("over");
    }
    for (const node of $$("progress[data-from][data-to]")) {
      const from = Date.parse(node.dataset.from), to = Date.parse(node.dataset.to);
      node.value = Math.max(0, Math.min(1, (to - now) / (to - from)));
    }
    localTimes();
  };
  setInterval(tick, 1000);
  document.addEventListener("htmx:wsAfterMessage", tick);

  // --- dialogs: an answer that carries a dialog opens it ------------------------------------------------------------
  document.addEventListener("htmx:afterSwap", (event) => {
    const target = event.detail.target;
    const dialog = target && ($("dialog[data-open]", target) ?? (target.matches?.("dialog[data-open]") ? target : null));
    if (dialog && !dialog.open) dialog.showModal();
    tick();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target.closest?.("[data-closes-dialog]")) event.target.closest("dialog")?.close();
  });
  document.addEventListener("click", (event) => {
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    if (event.target.closest("[data-close-dialog]")) event.target.closest("dialog")?.close();
    if (event.target.closest("[data-theme-toggle]")) window.avigridTheme.toggle();
  });

  // --- keyboard: j/k move, Enter acts, Esc closes, ? helps ----------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const cards = $$("[data-card]");
    const at = cards.indexOf(document.activeElement?.closest("[data-card]"));
    if (event.key === "j" || event.key === "k") {
      const next = cards[Math.max(0, Math.min(cards.length - 1, at + (event.key === "j" ? 1 : -1)))];
      next?.focus();
      event.preventDefault();
    } else if (event.key === "Enter" && document.activeElement?.matches("[data-card]:not(a)")) {
      $("[data-primary]", document.activeElement)?.click();
      event.preventDefault();
    } else if (event.key === "?") {
      $("#keyboard-help")?.showModal();
    }
  });

  // --- title and icon say the state ---------------------------------------------------------------------------------
  const announce = () => {
    const bar = $("[data-desk-state]")?.dataset;
    const state = bar?.deskState;
    const signals = $$("[data-card][data-placeable]").length;
    const base = document.documentElement.dataset.title ?? (document.documentElement.dataset.title = document.title);
    document.title = (state && state !== "active" ? `■ ${bar.deskStateName} · ` : signals ? `(${signals}) ` : "") + base;
    const icon = $("#favicon");
    if (icon) {
      const alarmed = state && state !== "active";
      icon.href = icon.href.replace(/favicon[a-z-]*\.svg/, alarmed ? "favicon-alarm.svg" : "favicon.svg");
    }
  };
  document.addEventListener("htmx:wsAfterMessage", announce);
  document.addEventListener("DOMContentLoaded", () => { tick(); announce(); });
})();
