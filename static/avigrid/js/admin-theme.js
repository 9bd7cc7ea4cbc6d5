// The admin follows the theme chosen on the desk; a choice made in the admin goes back to it.
"use strict";
{
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") localStorage.setItem("adminTheme", JSON.stringify(chosen));
  window.addEventListener("pagehide", () => {
    const now = JSON.parse(localStorage.getItem("adminTheme") ?? '"auto"');
    if (now === "auto") localStorage.removeItem("theme");
    else localStorage.setItem("theme", now);
  });
}
