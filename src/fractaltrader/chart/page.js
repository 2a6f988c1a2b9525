// Everything drawn carries the bar at which it became `known` and, once over, the bar it `ended`.
// `render(bar)` draws what was known at the close of that bar and nothing else.

const chart = document.getElementById("chart");
const slider = document.getElementById("slider");
const first = data.first;
const last = first + data.close.length - 1;
const MOST_FACTS = 16;
const MOST_LABELLED = 400;  // bars in view; among more, labels only hide one another

const ENTRIES = new Map(LAYERS.map(entry => [entry.key, entry]));
const state = {
  bar: last,
  span: Math.min(last - first + 1, 180),  // bars in view
  theme: "light",
  off: new Set(LAYERS.filter(entry => entry.off).map(entry => entry.group)),
  playing: 0,  // the timer, while it plays
};

function clock(bar, withTime = true) {
  const text = new Date(data.time[bar - first]).toISOString();
  return withTime ? text.slice(0, 16).replace("T", " ") : text.slice(5, 10);
}
function price(value) {
  return value === null ? "-" : Number(value.toPrecision(8)).toString();
}

// What of a drawing is visible at the close of `bar`; null when nothing is.
function seen(drawing, bar) {
  if (drawing.known > bar) return null;
  const stage = drawing.stages.findLast(([since]) => since <= bar);
  const notes = drawing.notes.filter(([since]) => since <= bar).map(([, text]) => text);
  return {
    layer: stage ? stage[1] : drawing.layer,
    to: stage ? stage[0] : Math.min(drawing.to ?? bar, bar),
    y1: stage?.[2] ?? drawing.y1,
    hover: [drawing.hover, ...notes].join("<br>"),
  };
}

function points(drawing, view, shape) {
  const { y0, from } = drawing, { y1, to } = view;
  if (shape === "mark") return { x: [from], y: [y0] };
  const x = [from], y = [y0];
  const add = (part, price) => { x.push(from + (to - from) * part); y.push(price); };
  // More points than the shape needs: the pointer finds a drawing by them.
  if (shape === "line") {
    for (let part = 1; part <= 6; part++) add(part / 6, y0 + ((y1 - y0) * part) / 6);
  } else {
    const parts = view.layer === "gone" || view.layer === "failed" ? 2 : 4;
    for (let part = 0; part <= parts; part++) add(part / parts, y1);
    for (let part = parts; part >= 0; part--) add(part / parts, y0);
  }
  x.push(null); y.push(null);
  return { x, y };
}

function addCandles(table, from, to) {
  const half = 0.36;
  for (let bar = Math.max(from, first); bar <= Math.min(to, last); bar++) {
    const i = bar - first, open = data.open[i], close = data.close[i];
    const column = table.get(close >= open ? "rising" : "falling");
    const top = Math.max(open, close), bottom = Math.min(open, close);
    const a = bar - half, b = bar + half;
    column.x.push(bar, bar, a, a, bar, bar, bar, b, b, bar, bar, null);
    column.y.push(data.low[i], bottom, bottom, top, top, data.high[i], top, top, bottom, bottom,
      data.low[i], null);
    const text = `bar ${bar}, ${clock(bar)}<br>open ${price(open)}  high ${price(data.high[i])}` +
      `<br>low ${price(data.low[i])}  close ${price(close)}<br>volume ${price(data.volume[i])}`;
    for (let point = 0; point < 12; point++) column.hovertext.push(text);
  }
}

// The columns of every trace, limited to what is known at `bar` and near the view `range`.
function columns(bar, range) {
  const margin = (range[1] - range[0]) / 4;
  const left = range[0] - margin, right = range[1] + margin;
  const prices = priceRange(bar, range) || [0, 0];
  const room = (prices[1] - prices[0]) * 0.03;
  const table = new Map(LAYERS.map(entry => [entry.key, { x: [], y: [], hovertext: [] }]));
  const labels = { x: [], y: [], text: [], textposition: [], textfont: { size: 10, color: [] } };
  for (const drawing of data.drawings) {
    const view = seen(drawing, bar);
    if (view === null || view.to < left || drawing.from > right) continue;
    const entry = ENTRIES.get(view.layer);
    if (entry === undefined || state.off.has(entry.group)) continue;
    const { x, y } = points(drawing, view, entry.shape);
    // A signal stands clear of its candle and of the sweep it came from.
    const clear = entry.group !== "signal" ? 0 : entry.below ? -room : room;
    const column = table.get(entry.key);
    column.x.push(...x);
    column.y.push(...y.map(price => (price === null ? null : price + clear)));
    column.hovertext.push(...x.map(at => (at === null ? "" : view.hover)));
    if (drawing.label && range[1] - range[0] <= MOST_LABELLED) {
      const look = entry.look(THEMES[state.theme]);
      labels.x.push(entry.shape === "mark" ? drawing.from : (drawing.from + view.to) / 2);
      const aside = entry.shape !== "mark" ? 0 : entry.below ? -room / 3 : room / 3;
      labels.y.push((drawing.y0 + view.y1) / 2 + aside);
      labels.text.push(drawing.label);
      labels.textposition.push(entry.below ? "bottom center" : "top center");
      labels.textfont.color.push((look.marker || look.line).color);
    }
  }
  addCandles(table, Math.ceil(left), Math.min(bar, Math.floor(right)));
  table.set("labels", labels);
  return table;
}

function priceRange(bar, range) {
  let low = Infinity, high = -Infinity;
  const a = Math.max(Math.ceil(range[0]), first), b = Math.min(Math.floor(range[1]), bar);
  for (let i = a - first; i <= b - first; i++) {
    low = Math.min(low, data.low[i]);
    high = Math.max(high, data.high[i]);
  }
  if (!(high >= low)) return null;
  const room = (high - low) * 0.09 || high * 0.001;
  return [low - room, high + room];
}

function ticks(range) {
  const wanted = Math.max((range[1] - range[0]) / 8, 1);
  const step = [1, 2, 4, 8, 12, 24, 48, 96, 192, 384, 960, 1920, 4800].find(s => s >= wanted) || 9600;
  const at = [], text = [];
  for (let bar = Math.ceil(range[0] / step) * step; bar <= range[1]; bar += step) {
    if (bar < first || bar > last) continue;
    at.push(bar);
    text.push(`${clock(bar, false)} ${clock(bar).slice(11)}<br>${bar}`);
  }
  return [at, text];
}

function layout(range) {
  const c = THEMES[state.theme];
  const [tickvals, ticktext] = ticks(range);
  const prices = following() || !chart.layout
    ? priceRange(state.bar, range) : chart.layout.yaxis.range.slice();
  // Labels that may hang over spare Plotly measuring each at every bar.
  const axis = { gridcolor: c.grid, zeroline: false, linecolor: c.grid, color: c.quiet,
    ticklabeloverflow: "allow" };
  return {
    paper_bgcolor: c.back, plot_bgcolor: c.back, dragmode: chart.layout?.dragmode || "pan",
    font: { color: c.text, size: 11 }, margin: { l: 8, r: 66, t: 8, b: 42 }, hovermode: "closest",
    hoverdistance: 24, hoverlabel: { bgcolor: c.hover, bordercolor: c.quiet, align: "left",
      font: { color: c.text, size: 12 } },
    showlegend: false,
    xaxis: { ...axis, range, rangeslider: { visible: false }, tickvals, ticktext,
      showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "dot",
      spikecolor: c.quiet, spikesnap: "cursor" },
    yaxis: { ...axis, side: "right", range: prices, exponentformat: "none" },
  };
}
// The line behind the newest bar, as a trace: Plotly draws shapes several times slower.
function nowLine() {
  const far = Math.max(...data.high) * 10, x = state.bar + 0.5;
  return { type: "scatter", name: "now", uid: "now", mode: "lines", hoverinfo: "skip",
    x: [x, x], y: [-far, far], line: { color: THEMES[state.theme].now, width: 1, dash: "dot" } };
}

function following() {
  return document.getElementById("follow").checked;
}
function followed() {
  const right = state.bar + Math.max(state.span * 0.08, 3);
  return [right - state.span, right];
}

function trace(entry, column) {
  return { type: "scatter", name: entry.key, uid: entry.key, hoverinfo: "text",
    visible: !state.off.has(entry.group), ...entry.look(THEMES[state.theme]), ...column };
}

function draw() {
  const range = chart.layout ? chart.layout.xaxis.range.slice() : followed();
  const table = columns(state.bar, range);
  const traces = LAYERS.map(entry => trace(entry, table.get(entry.key)));
  traces.push({ type: "scatter", name: "labels", uid: "labels", mode: "text", hoverinfo: "skip",
    ...table.get("labels") });
  traces.push(nowLine());
  Plotly.react(chart, traces, layout(range), { responsive: true, displaylogo: false,
    scrollZoom: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] });
}

// Move to `bar`: the data of every trace, the view and the panels.
function render(bar) {
  state.bar = Math.min(Math.max(bar, first), last);
  if (following()) chart.layout.xaxis.range = followed();
  draw();
  panels();
}

function panels() {
  const bar = state.bar, i = bar - first;
  slider.value = bar;
  const tone = data.close[i] >= data.open[i] ? "up" : "down";
  document.getElementById("reading").innerHTML =
    `bar <b>${bar}</b> of ${last} · ${clock(bar)} · <span class="${tone}">close ` +
    `${price(data.close[i])}</span>`;
  document.getElementById("aside-bar").textContent = bar;
  const list = document.getElementById("facts");
  list.replaceChildren();
  let end = data.facts.length;
  while (end > 0 && data.facts[end - 1].known > bar) end--;
  for (const fact of data.facts.slice(Math.max(0, end - MOST_FACTS), end).reverse()) {
    const item = document.createElement("li");
    item.className = (fact.side > 0 ? "up" : fact.side < 0 ? "down" : "") +
      (fact.known === bar ? " new" : "");
    const name = document.createElement("b"), when = document.createElement("span"),
      why = document.createElement("div");
    name.textContent = fact.name;
    when.textContent = fact.known;
    why.textContent = fact.reason;
    item.append(when, name, why);
    list.append(item);
  }
}

// The legend: one switch a group of traces.
function legend() {
  const list = document.getElementById("legend");
  list.replaceChildren();
  for (const entry of LAYERS.filter(one => one.name !== "")) {
    const button = document.createElement("button"), sign = document.createElement("i");
    const look = entry.look(THEMES[state.theme]);
    sign.className = entry.shape;
    sign.style.color = (look.marker || look.line).color;
    if (entry.shape === "box") sign.style.background = look.fillcolor;
    if (look.line) sign.style.borderStyle = look.line.dash === "solid" ? "solid" : "dashed";
    button.type = "button";
    button.setAttribute("aria-pressed", String(!state.off.has(entry.group)));
    button.append(sign, entry.name);
    button.addEventListener("click", () => {
      if (!state.off.delete(entry.group)) state.off.add(entry.group);
      legend();
      draw();
    });
    list.append(button);
  }
}

let waiting = 0;
function moveTo(bar) {
  state.next = bar;
  if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; render(state.next); });
}
function setTheme(name) {
  state.theme = name;
  document.documentElement.dataset.theme = name;
  legend();
  draw();
}
function play() {
  const button = document.getElementById("play");
  if (state.playing) { clearInterval(state.playing); state.playing = 0; button.textContent = "▶"; return; }
  if (state.bar >= last) render(first);
  button.textContent = "❚❚";
  state.playing = setInterval(() => {
    if (state.bar >= last) play(); else render(state.bar + 1);
  }, 120);
}
function readHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (THEMES[wanted.get("theme")]) setTheme(wanted.get("theme"));
  if (wanted.get("span") > 1) state.span = Number(wanted.get("span"));
  if (wanted.get("bar") !== null && !isNaN(wanted.get("bar"))) render(Number(wanted.get("bar")));
}

function start() {
  slider.min = first;
  slider.max = last;
  document.getElementById("period").textContent = `${clock(first)} to ${clock(last)} UTC, ` +
    `${last - first + 1} bars · ${data.subtitle}`;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  state.theme = dark ? "dark" : "light";
  document.documentElement.dataset.theme = state.theme;
  legend();
  draw();
  panels();
  slider.addEventListener("input", () => moveTo(Number(slider.value)));
  document.getElementById("back").addEventListener("click", () => render(state.bar - 1));
  document.getElementById("forward").addEventListener("click", () => render(state.bar + 1));
  document.getElementById("play").addEventListener("click", play);
  document.getElementById("theme").addEventListener("click",
    () => setTheme(state.theme === "dark" ? "light" : "dark"));
  document.addEventListener("keydown", event => {
    const steps = event.shiftKey ? 10 : 1;
    if (event.key === " ") { event.preventDefault(); play(); }
    else if (event.target === slider) return;
    else if (event.key === "ArrowLeft") render(state.bar - steps);
    else if (event.key === "ArrowRight") render(state.bar + steps);
  });
  // A new view needs what lies beyond the old one, and its own ticks and prices.
  chart.on("plotly_relayout", change => {
    if (!Object.keys(change).some(key => key.startsWith("xaxis."))) return;
    const [left, right] = chart.layout.xaxis.range;
    state.span = right - left;
    draw();
  });
  // Whatever moves the plot's frame (a legend that wraps, a font that comes late), it is filled.
  new ResizeObserver(() => Plotly.Plots.resize(chart)).observe(chart);
  addEventListener("hashchange", readHash);
  readHash();
  document.body.dataset.ready = "true";
}
start();
