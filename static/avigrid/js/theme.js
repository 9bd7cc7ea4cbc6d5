// Before the first paint: the theme chosen on this machine, if any; and the switch between the two.
"use strict";
window.avigridTheme = (() => {
  const root = document.documentElement;
  const show = (theme) => {
    root.dataset.theme = theme;
    document.getElementById("light-palette").media = theme === "light" ? "all" : "print";
  };
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") show(chosen);
  return {
    toggle() {
      const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
      show(now === "dark" ? "light" : "dark");
      localStorage.setItem("theme", root.dataset.theme);
      document.dispatchEvent(new CustomEvent("avigrid:theme"));
    },
  };
})();
