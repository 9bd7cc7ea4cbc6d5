// Equity and drawdown over time, two uPlot charts with one cursor.
"use strict";
(() => {
  const box = document.getElementById("equity-curve");
  if (!box || !window.uPlot) return;
  const state = box.querySelector("[data-chart-state]");
  const legend = document.getElementById("curve-legend");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const pad = (n) => String(n).padStart(2, "0");
  const moment = (s) => { const d = new Date(s * 1000); return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}`; };
  let plots = [], data = null;

  const axis = (values, size) => ({ stroke: colour("--ink-2"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, values, size });
  const draw = () => {
    plots.forEach((plot) => plot.destroy());
    const width = box.clientWidth, sync = { key: "equity" };
    const deepest = Math.min(...data.drawdown_ratio), places = deepest > -0.001 ? 4 : 2;
    const make = (height, label, values, series, format) => new uPlot({
      width, height, cursor: { sync, y: false }, legend: { show: false },
      series: [{}, { label, width: 1.5, points: { show: false }, ...series }],
      axes: [axis((plot, ticks, index, space, step) => ticks.map((s) => (step >= 86400 ? moment(s).slice(5, 10) : moment(s).slice(11))), 28), axis((plot, ticks) => ticks.map(format), 74)],
      hooks: { setCursor: [(plot) => tell(plot.cursor.idx)] },
    }, [data.time_s, values], box);
    plots = [
      make(250, box.dataset.equity, data.equity_usd, { stroke: colour("--accent") }, (v) => v.toLocaleString("en", { maximumFractionDigits: 2 })),
      make(130, box.dataset.drawdown, data.drawdown_ratio, { stroke: colour("--loss"), fill: colour("--loss") + "33" }, (v) => `${(v * 100).toFixed(places)} %`),
    ];
  };
  const tell = (index) => {
    if (index === null || index === undefined) { legend.textContent = ""; return; }
    legend.textContent = `${moment(data.time_s[index])}  ${box.dataset.equity} ${data.equity_usd[index].toFixed(2)} USDT  ${box.dataset.drawdown} ${(data.drawdown_ratio[index] * 100).toFixed(2)} %`;
  };

  fetch(box.dataset.url).then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status))).then((found) => {
    data = found;
    if (data.time_s.length < 2) { state.textContent = box.dataset.empty; return; }
    state.hidden = true;
    draw();
    box.dataset.ready = data.time_s.length;
    new ResizeObserver(() => { if (plots[0] && plots[0].width !== box.clientWidth) plots.forEach((plot) => plot.setSize({ width: box.clientWidth, height: plot.height })); }).observe(box);
  }).catch(() => { state.textContent = box.dataset.failed; });
  document.addEventListener("avigrid:theme", () => { if (data && plots.length) draw(); });
})();
