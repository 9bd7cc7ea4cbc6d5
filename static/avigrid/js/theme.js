// Before the first paint: the theme chosen on this machine, if any.
"use strict";
{
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
}
