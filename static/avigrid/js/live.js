// The live line: says when what you see is out of date, reconnects after silence and sleep, sends to the login page when
// access ends.
"use strict";
(() => {
  const PING_MS = 8000, SILENT_MS = 20000;
  const HTMX_RECONNECTS = [1006, 1011, 1012, 1013];
  let lastHeard = Date.now(), wrapper = null, current = null, leaving = false;

  const setLine = (up) => {
    const bar = document.getElementById("offline-bar");
    if (bar) bar.hidden = up;
    document.documentElement.dataset.line = up ? "up" : "down";
  };
  const toLogin = () => { leaving = true; location.assign(`/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`); };
  const reconnect = () => { current = null; lastHeard = Date.now(); wrapper.reconnect(); };
  const ping = () => wrapper.send(`ping ${Date.now()}`);

  document.addEventListener("htmx:wsOpen", (event) => {
    wrapper = event.detail.socketWrapper;
    current = event.detail.event.target;
    lastHeard = Date.now();
    setLine(true);
    ping();
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
  // from the first moment on: a line that never opens is as dead as one that broke
  setInterval(() => {
    if (leaving) return;
    const silent = Date.now() - lastHeard;
    if (silent > SILENT_MS) { setLine(false); if (wrapper) reconnect(); }
    else if (silent > PING_MS && current?.readyState === WebSocket.OPEN) ping();
  }, 2000);
  document.addEventListener("htmx:wsAfterMessage", () => {
    lastHeard = Date.now();
    setLine(true);
  });
})();
