// The desk's own script: CSRF for htmx, dialogs, keyboard, title. No eval, no inline.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const cookie = (name) => document.cookie.split("; ").find((c) => c.startsWith(name + "="))?.slice(name.length + 1) ?? "";

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = cookie("avigrid_csrf");
  });

  // --- dialogs: an answer that carries a dialog opens it ------------------------------------------------------------
  document.addEventListener("htmx:afterSwap", (event) => {
    const target = event.detail.target;
    const dialog = target && ($("dialog[data-open]", target) ?? (target.matches?.("dialog[data-open]") ? target : null));
    if (dialog && !dialog.open) dialog.showModal();
  });
  // --- an answer that was asked for elsewhere is brought before the eyes, and to the keyboard ------------------------
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    const target = detail.target;
    if (!target?.matches?.("[data-comes-into-view]") || detail.requestConfig?.elt === target) return;
    const panel = target.closest(".panel") ?? target;
    const { top } = panel.getBoundingClientRect();
    const covered = parseFloat(getComputedStyle(panel).scrollMarginTop) || 0;
    if (top >= covered - 1 && top < innerHeight * 0.75) return;
    panel.scrollIntoView({ block: "start" });
    target.focus({ preventScroll: true });
  });
  document.addEventListener("click", (event) => {
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    if (event.target.closest("[data-close-dialog]")) event.target.closest("dialog")?.close();
    if (event.target.closest("[data-theme-toggle]")) window.avigridTheme.toggle();
  });

  // --- keyboard: j/k move, Enter acts, Esc closes, ? helps ----------------------------------------------------------
  // By the letter, or, where the layout writes no Latin, by the key that stands in its place.
  const isLatin = (key) => /^[\x20-\x7e]$/.test(key);
  const means = (event, letter) => event.key === letter || (!isLatin(event.key) && event.code === `Key${letter.toUpperCase()}`);
  const asksHelp = (event) => event.key === "?" || (event.code === "Slash" && event.shiftKey);
  // Enter acts when it is let go: held down, it would answer the question it has just asked.
  const ACTS_ON_ENTER = "[data-card]:not(a), button[hx-confirm]";
  const nameOf = (node) => node.id || node.getAttribute("hx-post");  // a repaint puts another node in its place
  let entered = null;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    if (event.key === "Enter") {
      const actor = document.activeElement?.matches(ACTS_ON_ENTER) ? document.activeElement : null;
      if (actor || event.repeat) event.preventDefault();
      if (!event.repeat) entered = actor;
      return;
    }
    const step = means(event, "j") ? 1 : means(event, "k") ? -1 : 0;
    if (step) {
      const cards = $$("[data-card]");
      const at = cards.indexOf(document.activeElement?.closest("[data-card]"));
      cards[Math.max(0, Math.min(cards.length - 1, at + step))]?.focus();
      event.preventDefault();
    } else if (asksHelp(event)) {
      const help = $("#keyboard-help");
      if (help && !help.open) help.showModal();
    }
  });
  document.addEventListener("keyup", (event) => {
    if (event.key !== "Enter") return;
    const actor = document.activeElement;
    const isSame = entered && actor?.matches(ACTS_ON_ENTER) && (actor === entered || nameOf(actor) === nameOf(entered));
    entered = null;
    if (isSame) (actor.matches("button") ? actor : $("[data-primary]", actor))?.click();
  });

  // --- title and icon say the state ---------------------------------------------------------------------------------
  const announce = () => {
    const bar = $("[data-desk-state]")?.dataset;
    const state = bar?.deskState;
    const signals = $$("[data-card][data-placeable]").length;
    const base = document.documentElement.dataset.title ?? (document.documentElement.dataset.title = document.title);
    document.title = (state && state !== "active" ? `■ ${bar.deskStateName} · ` : signals ? `(${signals}) ` : "") + base;
    // both addresses come from the page: in production files carry a hash in their names
    const icon = $("#favicon");
    const wanted = icon?.dataset[state && state !== "active" ? "alarm" : "calm"];
    if (wanted && icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
  };
  document.addEventListener("htmx:wsAfterMessage", announce);
  document.addEventListener("DOMContentLoaded", announce);
})();
