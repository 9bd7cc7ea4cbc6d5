// Before the first paint: the theme chosen on this machine, if any; and the switch between the two.
"use strict";
window.avigridTheme = (() => {
  const root = document.documentElement;
  root.dataset.scripted = "";
  const show = (theme) => {
    root.dataset.theme = theme;
    document.getElementById("light-palette").media = theme === "light" ? "all" : "print";
  };
  const changed = () => document.dispatchEvent(new CustomEvent("avigrid:theme"));
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", changed);
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") show(chosen);
  // a report in a frame is a page of its own: it is told what was chosen here
  const dress = (frame) => {
    const inside = frame.contentDocument?.documentElement;
    if (inside && root.dataset.theme) inside.dataset.theme = root.dataset.theme;
  };
  document.addEventListener("load", (event) => { if (event.target.matches?.("iframe.report")) dress(event.target); }, true);
  document.addEventListener("avigrid:theme", () => document.querySelectorAll("iframe.report").forEach(dress));
  return {
    toggle() {
      const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
      show(now === "dark" ? "light" : "dark");
      localStorage.setItem("theme", root.dataset.theme);
      changed();
    },
  };
})();
