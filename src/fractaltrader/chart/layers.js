"use strict";
// The colours of both themes, and the layers: one trace each, with its look and its switch.

const data = JSON.parse(document.getElementById("data").textContent);

const THEMES = {
  light: {
    text: "#20242a", quiet: "#6a727d", grid: "#e8e9ea", back: "#fbfbfa", hover: "#ffffff",
    up: "#12866f", down: "#c8402f", pool: "#b07d00", level: "#5867a8", gone: "#9aa1aa",
    upFill: "rgba(18,134,111,.17)", downFill: "rgba(200,64,47,.15)",
    obUp: "#2563c9", obUpFill: "rgba(37,99,201,.20)", obDown: "#8e44ad",
    obDownFill: "rgba(142,68,173,.19)", goneFill: "rgba(120,128,138,.07)",
    failed: "#c58a4a", failedFill: "rgba(197,138,74,.045)", choch: "#a0299b", now: "#4a7fd4",
    breakUp: "#0b7fa5", breakUpFill: "rgba(11,127,165,.13)", breakDown: "#c2347f",
    breakDownFill: "rgba(194,52,127,.11)",
  },
  dark: {
    text: "#dde2e8", quiet: "#8b95a3", grid: "#20262e", back: "#12151a", hover: "#1f252d",
    up: "#2fb79b", down: "#f0705f", pool: "#e2b23c", level: "#93a2e6", gone: "#69727e",
    upFill: "rgba(47,183,155,.20)", downFill: "rgba(240,112,95,.18)",
    obUp: "#5b9bff", obUpFill: "rgba(91,155,255,.23)", obDown: "#c78be0",
    obDownFill: "rgba(199,139,224,.22)", goneFill: "rgba(140,150,162,.07)",
    failed: "#8d6a43", failedFill: "rgba(217,154,91,.045)", choch: "#e07fdb", now: "#6aa0f0",
    breakUp: "#45b6dc", breakUpFill: "rgba(69,182,220,.15)", breakDown: "#ea79b3",
    breakDownFill: "rgba(234,121,179,.13)",
  },
};

// One entry a trace, drawn in this order; a name starting with "·" is off until asked for.
const LAYERS = [
  box("session", "·Sessions", c => [c.level, c.goneFill, "dot"]),
  box("opening", "·Opening ranges", c => [c.pool, c.goneFill, "dot"]),
  box("range", "·Dealing range", c => [c.quiet, "rgba(0,0,0,0)", "dash"]),
  box("gone", "Zones over", c => [c.gone, c.goneFill, "dot", 0.6]),
  box("failed", "Zones failed", c => [c.failed, c.failedFill, "dash", 0.6]),
  box("fvg+", "Fair value gaps", c => [c.up, c.upFill], "fvg"),
  box("fvg-", "", c => [c.down, c.downFill], "fvg"),
  box("merged+", "Merged gaps", c => [c.up, "rgba(0,0,0,0)", "dot", 1.4], "merged"),
  box("merged-", "", c => [c.down, "rgba(0,0,0,0)", "dot", 1.4], "merged"),
  box("ob+", "Order blocks", c => [c.obUp, c.obUpFill], "ob"),
  box("ob-", "", c => [c.obDown, c.obDownFill], "ob"),
  box("breaker+", "Breakers", c => [c.breakUp, c.breakUpFill, "dashdot"], "breaker"),
  box("breaker-", "", c => [c.breakDown, c.breakDownFill, "dashdot"], "breaker"),
  candles("rising", "up"),
  candles("falling", "down"),
  line("level", "·Period levels", c => [c.level, "solid", 1.2]),
  line("pool", "Liquidity", c => [c.pool, "dot", 1.6]),
  line("spent", "Liquidity taken", c => [c.gone, "dot", 1]),
  line("bos+", "BOS", c => [c.up, "solid", 1.6], "bos"),
  line("bos-", "", c => [c.down, "solid", 1.6], "bos"),
  line("choch+", "CHoCH", c => [c.choch, "dash", 1.8], "choch"),
  line("choch-", "", c => [c.choch, "dash", 1.8], "choch"),
  mark("swing+", "Swings", c => [c.down, "triangle-down-open", 8], "swing"),
  mark("swing-", "", c => [c.up, "triangle-up-open", 8], "swing", true),
  mark("superseded", "Swings superseded", c => [c.gone, "diamond-open", 6]),
  mark("strong+", "Strong swings", c => [c.down, "triangle-down", 9], "strong"),
  mark("strong-", "", c => [c.up, "triangle-up", 9], "strong", true),
  mark("weak+", "Weak swings", c => [c.gone, "circle-open", 10], "weak"),
  mark("weak-", "", c => [c.gone, "circle-open", 10], "weak", true),
  mark("sweep+", "Sweeps", c => [c.pool, "x-thin-open", 9], "sweep"),
  mark("sweep-", "", c => [c.pool, "x-thin-open", 9], "sweep", true),
  line("swept", "", c => [c.pool, "dot", 1], "sweep"),
  mark("taken", "·Takes", c => [c.gone, "x-thin-open", 8], "taken"),
  mark("mss", "MSS", c => [c.choch, "star", 9], "mss"),
  mark("displacement", "·Displacement", c => [c.now, "diamond-open", 7], "displacement"),
  mark("ote", "·OTE", c => [c.level, "circle", 6], "ote"),
  mark("hole", "Holes", c => [c.failed, "line-ns-open", 14], "hole"),
  mark("candidate", "·Candidates", c => [c.gone, "circle-open", 6], "candidate"),
  line("won", "Trades won", c => [c.up, "solid", 2.4]),
  line("lost", "Trades lost", c => [c.down, "solid", 2.4]),
  line("held", "Trade open", c => [c.now, "solid", 2.4]),
  line("stop", "Stop and target", c => [c.quiet, "dash", 1]),
  mark("signal+", "Signals", c => [c.up, "triangle-up", 13], "signal", true),
  mark("signal-", "", c => [c.down, "triangle-down", 13], "signal"),
].filter(layer => layer.group === "candles" || data.drawings.some(d => reaches(d, layer.key)));

function reaches(drawing, key) {
  return drawing.layer === key || drawing.stages.some(([, layer]) => layer === key);
}
function layer(key, name, group, extra) {
  const off = name.startsWith("·");
  return { key, name: off ? name.slice(1) : name, off, group: group || key, ...extra };
}
function box(key, name, style, group) {
  return layer(key, name, group, {
    shape: "box",
    look(c) {
      const [color, fill, dash, width] = style(c);
      return {
        mode: "lines", fill: "toself", fillcolor: fill, hoveron: "points",
        line: { color, width: width || 1, dash: dash || "solid" },
      };
    },
  });
}
function line(key, name, style, group) {
  return layer(key, name, group, {
    shape: "line",
    look(c) {
      const [color, dash, width] = style(c);
      return { mode: "lines", line: { color, dash, width } };
    },
  });
}
function mark(key, name, style, group, below) {
  return layer(key, name, group, {
    shape: "mark", below,
    look(c) {
      const [color, symbol, size] = style(c);
      return { mode: "markers", marker: { color, symbol, size, line: { color, width: 1.6 } } };
    },
  });
}
// A candle is one closed path, wick and body, so that a thousand of them are two elements.
function candles(key, color) {
  return layer(key, "", "candles", {
    shape: "candles",
    look: c => ({
      mode: "lines", fill: "toself", fillcolor: c[color], line: { color: c[color], width: 1 },
    }),
  });
}
