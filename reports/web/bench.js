// Draws the charts of a benchmark page from the data in it. The tables say the same without this.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SHOWN = 7; // Locks that a chart shows at first; its legend switches the others on.
  const COLOURS = ["#4878a8", "#d1743c", "#3f9b6a", "#b0479a", "#8a6d3b", "#c44e52", "#4fa3b5",
    "#8172b2"];
  const STEPS = ["p50", "p75", "p90", "p95", "p99", "p99.5", "p99.9", "p99.99", "max"];
  let plots = [];

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function duration(ns) {
    if (ns == null) return "-";
    for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["us", 1e3]]) {
      if (ns >= size) return +(ns / size).toPrecision(3) + " " + unit;
    }
    return +ns.toPrecision(3) + " ns";
  }

  function rate(perSecond) {
    if (perSecond == null) return "-";
    for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
      if (perSecond >= size) return +(perSecond / size).toPrecision(3) + " " + unit + "/s";
    }
    return +perSecond.toPrecision(3) + "/s";
  }

  function axis(extra) {
    return Object.assign(
      { stroke: style("--ink"), grid: { stroke: style("--line"), width: 1 }, size: 70 }, extra);
  }

  // Lines at powers of ten only: the ones between would be most of the picture.
  function decades(_, __, low, high) {
    const at = [];
    for (let e = Math.ceil(Math.log10(low)); 10 ** e <= high; ++e) at.push(10 ** e);
    return at;
  }

  function series(name, index, format) {
    return {
      label: name,
      stroke: COLOURS[index % COLOURS.length],
      dash: index >= COLOURS.length ? [6, 4] : undefined,
      width: 2,
      spanGaps: true,
      show: index < SHOWN,
      value: (_, value) => format(value),
    };
  }

  function draw(element, options, values) {
    const width = Math.max(280, element.clientWidth);
    const plot = new uPlot(
      Object.assign({ width, height: Math.min(380, Math.max(240, width * 0.45)) }, options),
      values, element);
    plots.push([plot, element]);
  }

  function percentiles(element) {
    const cases = data.workloads[+element.dataset.workload].cases.filter((c) => c.percentiles);
    if (cases.length === 0) return;
    draw(element, {
      title: "Time to acquire, by percentile",
      scales: { x: { time: false, range: [-0.2, STEPS.length - 0.8] }, y: { distr: 3 } },
      axes: [
        axis({ size: 40, splits: () => STEPS.map((_, i) => i),
          values: (_, at) => at.map((i) => STEPS[i] ?? "") }),
        axis({ splits: decades, values: (_, at) => at.map(duration) }),
      ],
      series: [{ label: "percentile", value: (_, i) => STEPS[i] ?? "-" },
        ...cases.map((c, i) => series(c.lock, i, duration))],
    }, [STEPS.map((_, i) => i), ...cases.map((c) => c.percentiles.map((v) => (v > 0 ? v : null)))]);
  }

  function scaling(element) {
    const group = data.scaling[+element.dataset.group];
    draw(element, {
      title: "Throughput over workers",
      scales: { x: { time: false } },
      axes: [
        axis({ size: 40, splits: () => group.workers, values: (_, at) => at.map(String) }),
        axis({ values: (_, at) => at.map(rate) }),
      ],
      series: [{ label: "workers", value: (_, n) => (n == null ? "-" : String(n)) },
        ...group.locks.map((l, i) => series(l.lock, i, rate))],
    }, [group.workers, ...group.locks.map((l) => l.rates)]);
  }

  function drawAll() {
    for (const [plot] of plots) plot.destroy();
    plots = [];
    document.querySelectorAll("[data-workload]").forEach(percentiles);
    document.querySelectorAll("[data-group]").forEach(scaling);
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("resize", () => {
    for (const [plot, element] of plots) {
      plot.setSize({ width: Math.max(280, element.clientWidth), height: plot.height });
    }
  });
})();
