// The chart of one symbol: candles, VWAP and its bands, Donchian, plan levels, signals and fills. The numbers come from
// one JSON address; the forming bar from the page's live fragment; a click on a bar asks for its rules.
"use strict";
(() => {
  const box = document.getElementById("symbol-chart");
  if (!box || !window.LightweightCharts) return;
  const words = document.getElementById("chart-words").dataset;
  const legend = document.getElementById("chart-legend");
  const state = box.querySelector("[data-chart-state]");
  const LC = window.LightweightCharts;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const pad = (n) => String(n).padStart(2, "0");
  const clock = (s) => { const d = new Date(s * 1000); return `${pad(d.getHours())}:${pad(d.getMinutes())}`; };
  const day = (s) => { const d = new Date(s * 1000); return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`; };
  const utc = (s) => new Date(s * 1000).toISOString().slice(11, 16) + " UTC";

  const LINES = [["vwap", "--chart-vwap", 2, 0], ["upper", "--chart-band", 1, 0], ["lower", "--chart-band", 1, 0], ["upper_far", "--chart-far", 1, 2],
    ["lower_far", "--chart-far", 1, 2], ["donchian_top", "--chart-donchian", 1, 1], ["donchian_bottom", "--chart-donchian", 1, 1]];
  const quiet = { priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false };
  let chart, candles, volume, markers, overlays = {}, levels = [], data = null, loading = false;

  const look = () => ({
    layout: { background: { color: "transparent" }, textColor: colour("--ink-2"), attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily, panes: { separatorColor: colour("--line") } },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderColor: colour("--line") },
    timeScale: { borderColor: colour("--line"), timeVisible: true, secondsVisible: false, tickMarkFormatter: (s, kind) => (kind < 3 ? day(s).slice(5) : clock(s)) },
    localization: { timeFormatter: (s) => `${day(s)} ${clock(s)}` },
  });

  const build = () => {
    // the licence's attribution stands below the chart as text: the built-in logo brings a style element, which the policy forbids
    chart = LC.createChart(box, { ...look(), autoSize: true, crosshair: { mode: 0 } });
    candles = chart.addSeries(LC.CandlestickSeries, {});
    volume = chart.addSeries(LC.HistogramSeries, { priceFormat: { type: "volume" }, priceScaleId: "volume", ...quiet });
    chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    for (const [name, , width, style] of LINES) overlays[name] = chart.addSeries(LC.LineSeries, { lineWidth: width, lineStyle: style, ...quiet });
    markers = LC.createSeriesMarkers(candles, []);
    chart.subscribeCrosshairMove(readout);
    chart.subscribeClick((point) => { if (point.time) askRules(point.time); });
    chart.timeScale().subscribeVisibleLogicalRangeChange((range) => { if (range && range.from < 20) older(); });
    paint();
  };

  const paint = () => {
    chart.applyOptions(look());
    candles.applyOptions({ upColor: colour("--gain"), downColor: colour("--loss"), wickUpColor: colour("--gain"), wickDownColor: colour("--loss"), borderVisible: false });
    for (const [name, token] of LINES) overlays[name].applyOptions({ color: colour(token) });
    volume.applyOptions({ color: colour("--line-strong") });
    if (data) decorate();
  };

  const digits = () => {
    const price = data.bars.at(-1)?.[4] ?? 1;
    const shown = Math.max(...data.bars.slice(-50).map((bar) => (String(bar[4]).split(".")[1] ?? "").length), 0);
    return Math.min(shown || (price > 1000 ? 1 : 4), 8);
  };

  const show = () => {
    const precision = digits();
    candles.applyOptions({ priceFormat: { type: "price", precision, minMove: 10 ** -precision } });
    candles.setData(data.bars.map(([time, open, high, low, close]) => ({ time, open, high, low, close })));
    volume.setData(data.bars.map((bar) => ({ time: bar[0], value: bar[5] })));
    for (const [name] of LINES) {
      const values = data.series[name] ?? [];
      overlays[name].setData(data.bars.map((bar, i) => (values[i] === null || values[i] === undefined ? { time: bar[0] } : { time: bar[0], value: values[i] })));
    }
    decorate();
    live();
  };

  const decorate = () => {
    const seen = new Set(data.bars.map((bar) => bar[0]));
    markers.setMarkers(data.marks.filter((mark) => seen.has(mark[0])).map(([time, kind, direction, text]) => ({
      time, text: kind === "signal" ? text : "", position: direction > 0 ? "belowBar" : "aboveBar",
      shape: kind === "signal" ? (direction > 0 ? "arrowUp" : "arrowDown") : "circle", size: kind === "signal" ? 1 : 0.6,
      color: colour(kind === "signal" ? "--accent" : "--ink"),
    })));
    levels.forEach((line) => candles.removePriceLine(line));
    const tokens = { stop: "--alarm", take_profit: "--gain", rung: "--accent", entry: "--accent" };
    levels = data.lines.map(([price, kind, title, isLive]) => candles.createPriceLine({ price, title, color: colour(tokens[kind] ?? "--ink-3"), lineWidth: 1, lineStyle: isLive ? 0 : 2, axisLabelVisible: true }));
  };

  const load = async (end) => {
    if (loading) return null;
    loading = true;
    try {
      const answer = await fetch(box.dataset.url + (end ? `?end=${end * 1000}` : ""), { headers: { Accept: "application/json" } });
      return answer.ok ? await answer.json() : null;
    } catch { return null; } finally { loading = false; }
  };

  const older = async () => {
    if (!data?.has_more || loading) return;
    const more = await load(data.bars[0][0]);
    if (!more) return;
    const known = new Set(data.bars.map((bar) => bar[0]));
    const fresh = more.bars.filter((bar) => !known.has(bar[0])).length;
    for (const [name] of LINES) data.series[name] = [...(more.series[name] ?? []).slice(0, fresh), ...(data.series[name] ?? [])];
    data.bars = [...more.bars.slice(0, fresh), ...data.bars];
    data.marks = [...more.marks, ...data.marks];
    data.has_more = more.has_more && fresh > 0;
    show();
  };

  const refresh = async () => {
    const fresh = await load();
    if (!fresh) { if (!data) state.textContent = words.failed; return; }
    if (data) {  // keep what was scrolled back to
      const first = fresh.bars[0]?.[0] ?? 0, kept = data.bars.filter((bar) => bar[0] < first).length;
      fresh.bars = [...data.bars.slice(0, kept), ...fresh.bars];
      for (const [name] of LINES) fresh.series[name] = [...(data.series[name] ?? []).slice(0, kept), ...(fresh.series[name] ?? [])];
      fresh.marks = [...data.marks.filter((mark) => mark[0] < first), ...fresh.marks];
      if (kept) fresh.has_more = data.has_more;
    }
    const isFirst = !data;
    data = fresh;
    if (!data.bars.length) { state.textContent = words.empty; return; }
    state.hidden = true;
    if (!chart) build();
    show();
    if (isFirst) chart.timeScale().setVisibleLogicalRange({ from: data.bars.length - Math.min(140, box.clientWidth / 7), to: data.bars.length + 4 });
    box.dataset.ready = data.bars.length;
    box.dataset.version = data.version;
  };

  const live = () => {
    const text = document.getElementById("fragment-tick")?.dataset.bar;
    if (!text || !data?.bars.length) return;
    const [time, open, high, low, close, size] = JSON.parse(text);
    if (time < data.bars.at(-1)[0]) return;
    candles.update({ time, open, high, low, close });
    volume.update({ time, value: size });
  };

  const readout = (point) => {
    const bar = point.seriesData?.get(candles);
    if (!bar) { legend.textContent = ""; return; }
    const vwap = point.seriesData.get(overlays.vwap)?.value;
    const show = (value) => value?.toFixed(digits()) ?? "–";
    legend.textContent = `${clock(point.time)} (${utc(point.time)})  O ${show(bar.open)}  H ${show(bar.high)}  L ${show(bar.low)}  C ${show(bar.close)}  VWAP ${show(vwap)}`;
  };

  const askRules = (time) => window.htmx.ajax("GET", box.dataset.rulesUrl.replace(/\/0$/, `/${time}`), { target: "#bar-rules" });

  document.addEventListener("avigrid:theme", () => { if (chart) paint(); });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => { if (chart) paint(); });
  let newest = null;
  document.addEventListener("htmx:wsAfterMessage", () => {
    live();
    // a decision means a bar has closed; another version of the levels, that a plan, an order, a fill or a signal moved
    const seen = document.querySelector("#fragment-decisions time")?.getAttribute("datetime");
    const levels = document.getElementById("fragment-levels")?.dataset.version;
    const isBehind = data !== null && levels !== undefined && levels !== data.version;
    if ((newest !== null && seen !== newest) || isBehind) refresh();
    newest = seen;
  });
  refresh();
})();
