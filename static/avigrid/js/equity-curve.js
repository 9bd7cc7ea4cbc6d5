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

  // as wide as the longest number of both: the two charts share one cursor
  const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", sans-serif';
  const TICK_AND_GAPS = 22;
  const room = (labels) => {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = FONT;
    return Math.ceil(Math.max(...labels.map((text) => pen.measureText(text).width))) + TICK_AND_GAPS;
  };
  const axis = (values, size) => ({ stroke: colour("--ink-2"), font: FONT, grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, values, size });
  const draw = () => {
    plots.forEach((plot) => plot.destroy());
    const width = box.clientWidth, sync = { key: "equity" };
    const deepest = Math.min(...data.drawdown_ratio), places = deepest > -0.001 ? 4 : 2;
    const usd = (v) => v.toLocaleString("en", { maximumFractionDigits: 2 }), percent = (v) => `${(v * 100).toFixed(places).replace("-", "−")}\u00a0%`;
    const extremes = [Math.min(...data.equity_usd), Math.max(...data.equity_usd)];
    const size = room([...extremes.map((v) => v.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })), percent(deepest), percent(1.1 * deepest)]);
    const make = (height, label, values, series, format) => new uPlot({
      width, height, cursor: { sync, y: false }, legend: { show: false },
      series: [{}, { label, width: 1.5, points: { show: false }, ...series }],
      axes: [axis((plot, ticks, index, space, step) => ticks.map((s) => (step >= 86400 ? moment(s).slice(5, 10) : moment(s).slice(11))), 28), axis((plot, ticks) => ticks.map(format), size)],
      hooks: { setCursor: [(plot) => tell(plot.cursor.idx)] },
    }, [data.time_s, values], box);
    plots = [
      make(250, box.dataset.equity, data.equity_usd, { stroke: colour("--accent") }, usd),
      make(130, box.dataset.drawdown, data.drawdown_ratio, { stroke: colour("--loss"), fill: colour("--loss") + "33" }, percent),
    ];
  };
  const tell = (index) => {
    if (index === null || index === undefined) { legend.textContent = ""; return; }
    legend.textContent = `${moment(data.time_s[index])}  ${box.dataset.equity} ${data.equity_usd[index].toFixed(2)} USDT  ${box.dataset.drawdown} ${(data.drawdown_ratio[index] * 100).toFixed(2)}\u00a0%`;
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
