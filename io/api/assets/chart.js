// Charts: live cards over the last 15 minutes, and one property over its history.
"use strict";
(() => {
  const LIVE_MS = 15 * 60e3;
  const SIZES = ["", "k", "M", "G", "T"];

  const digits = (value) => {
    const size = Math.abs(value);
    const text = value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text.replace(/\B(?=(\d{3})+$)/g, ",");
  };
  const quantity = (value, unit, sign) => {
    if (value == null) return ["–", ""];
    if (unit === "s" && value >= 120) {
      const [by, one] = value < 3600 ? [60, "minute"] : value < 172800 ? [3600, "hour"] : [86400, "day"];
      const count = Math.floor(value / by);
      return [`${count} ${one}${count === 1 ? "" : "s"}`, ""];
    }
    if (unit !== "B" && unit !== "B/s" && unit !== "bit/s") return [digits(value), sign];
    let at = 0;
    while (Math.abs(value) >= 1000 && at + 1 < SIZES.length) { value /= 1000; at += 1; }
    return [digits(value), SIZES[at] + unit];
  };
  const say = (box, value, unit, sign) => {
    const [number, of] = quantity(value, unit, sign);
    box.textContent = number;
    if (!of) return;
    const span = document.createElement("span");
    span.className = "unit";
    span.textContent = of;
    box.append(" ", span);
  };

  // Colours as the stylesheet has them now.
  const colour = (name) => {
    const probe = document.createElement("span");
    probe.className = `probe-${name}`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const faint = (rgb, alpha) => rgb.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);

  // Times of day; at midnight, and where ticks are days apart, the day.
  const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const second = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const moments = (_, splits, __, ___, step) => splits.map((at) => {
    const moment = new Date(at * 1e3);
    if (step >= 86400 || (moment.getHours() === 0 && moment.getMinutes() === 0 && step >= 60)) return day.format(moment);
    return (step < 60 ? second : time).format(moment);
  });
  // On an axis neighbours must differ: as many digits as the step between them needs.
  const onAxis = (splits, step, unit, sign) => {
    const most = Math.max(...splits.map((one) => Math.abs(one ?? 0)));
    let [by, of] = [1, sign];
    if (unit === "s") [by, of] = most >= 172800 ? [86400, "d"] : most >= 7200 ? [3600, "h"] : [60, "min"];
    if (["B", "B/s", "bit/s"].includes(unit)) {
      const at = Math.min(SIZES.length - 1, Math.max(0, Math.floor(Math.log10(most || 1) / 3)));
      [by, of] = [1000 ** at, SIZES[at] + unit];
    }
    const places = Math.min(6, Math.max(0, -Math.floor(Math.log10(step / by) + 1e-9)));
    return splits.map((one) => (one == null ? "" : `${(one / by).toFixed(places)} ${of}`.trim()));
  };

  const axes = (unit, sign, isSmall) => {
    const [text, line] = [colour("quiet"), colour("line")];
    const font = "12px system-ui, sans-serif";
    const common = { stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const value = (_, splits, __, ___, step) => onAxis(splits, step, unit, sign);
    const size = (_, values) => 14 + 7 * Math.max(3, ...(values ?? []).map((one) => String(one).length));
    return [
      { ...common, values: moments, space: 80, size: 28, grid: { show: false } },
      { ...common, values: value, size, space: isSmall ? 28 : 40 },
    ];
  };
  const scaleOf = (min, max, unit, isWhole) => {
    if (unit === "%" && isWhole) return [0, 100];
    if (min == null) return [0, 1];
    if (min === max) { const room = Math.abs(min) * 0.1 || 1; return [min >= 0 && min < room ? 0 : min - room, max + room]; }
    const room = (max - min) * 0.1;
    const top = unit === "%" && max <= 100 ? Math.min(100, max + room) : max + room;
    return [min >= 0 && min - room < 0 ? 0 : min - room, top];
  };

  const get = async (device, query) => {
    const url = `/api/v1/devices/${device}/buckets?${new URLSearchParams(query)}`;
    const answer = await fetch(url);
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? "The hub did not answer.");
    return answer.json();
  };

  // Points with an empty one wherever nothing was measured for much longer than usual.
  const withGaps = (points, usual) => {
    const [xs, rows] = [[], points[0] ? points[0].slice(1).map(() => []) : [[]]];
    let before = null;
    for (const [x, ...values] of points) {
      if (before !== null && x - before > usual) {
        xs.push((x + before) / 2);
        rows.forEach((row) => row.push(null));
      }
      xs.push(x);
      values.forEach((value, at) => rows[at].push(value));
      before = x;
    }
    return [xs, ...rows];
  };

  const charts = [];
  const redraw = () => charts.forEach((chart) => chart.make());
  document.addEventListener("theme", redraw);
  new ResizeObserver(() => charts.forEach((chart) => chart.fit())).observe(document.body);

  // A card: one property, live.
  const card = (section, device) => {
    const { property, unit, sign } = section.dataset;
    const [box, value] = [section.querySelector(".plot"), section.querySelector(".value")];
    let points = [];
    let plot = null;
    let isOver = false;
    const data = () => withGaps(points, 30);
    // A device that is new fills its chart at once: the window grows from two to fifteen minutes.
    const range = () => {
      const now = Date.now() / 1e3;
      const age = points.length ? now - points[0][0] : 0;
      return [now - Math.min(LIVE_MS / 1e3, Math.max(120, age)), now];
    };
    const show = () => { if (!isOver && points.length) say(value, points[points.length - 1][1], unit, sign); };
    const chart = {
      property,
      make() {
        plot?.destroy();
        const line = colour("accent");
        plot = new uPlot({
          width: box.clientWidth, height: 120, legend: { show: false }, pxAlign: false,
          cursor: { y: false, drag: { x: false, y: false } },
          scales: { x: { time: true, range }, y: { range: (_, min, max) => scaleOf(min, max, unit, true) } },
          axes: axes(unit, sign, true),
          series: [{}, { stroke: line, width: 1.5, fill: faint(line, 0.1), points: { show: false }, spanGaps: false }],
          hooks: {
            setCursor: [(u) => {
              const at = u.cursor.idx;
              isOver = at != null && u.cursor.left >= 0;
              if (isOver && u.data[1][at] != null) say(value, u.data[1][at], unit, sign); else show();
            }],
          },
        }, data(), box);
      },
      fit() { if (plot && plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height: 120 }); },
      add(at, number) {
        const last = points[points.length - 1];
        if (last && at <= last[0]) return;
        points.push([at, number]);
        section.querySelector("time")?.setAttribute("datetime", new Date(at * 1e3).toISOString());
        show();
      },
      tick() {
        const oldest = Date.now() / 1e3 - LIVE_MS / 1e3 - 60;
        while (points.length && points[0][0] < oldest) points.shift();
        plot?.setData(data());
      },
      async load() {
        const said = await get(device, { property, since: "15m", count: 180 });
        points = said.items.filter((one) => one.mean != null)
          .map((one) => [Date.parse(one.timestamp) / 1e3, one.mean]);
        this.make();
      },
    };
    charts.push(chart);
    return chart;
  };

  const live = async (box) => {
    const state = document.getElementById("live-state");
    const device = box.dataset.device;
    const cards = [...box.querySelectorAll(".chart")].map((section) => card(section, device));
    state.textContent = "Loading the last 15 minutes…";
    try {
      await Promise.all(cards.map((one) => one.load()));
    } catch (error) {
      state.textContent = `The last 15 minutes could not be loaded: ${error.message}`;
    }
    const stream = new EventSource(`/api/v1/devices/${device}/live`);
    stream.addEventListener("open", () => { state.textContent = "Live"; state.classList.add("on"); });
    stream.addEventListener("error", () => {
      state.textContent = "The connection to the hub is gone; trying again.";
      state.classList.remove("on");
    });
    stream.addEventListener("reading", (event) => {
      const { property, timestamp, value } = JSON.parse(event.data);
      if (typeof value !== "number") return;
      cards.find((one) => one.property === property)?.add(Date.parse(timestamp) / 1e3, value);
    });
    setInterval(() => { if (!document.hidden) cards.forEach((one) => one.tick()); }, 1000);
    addEventListener("pagehide", () => stream.close());
  };

  // One property over its history: the mean as a line, least to greatest as a band.
  const history = (section) => {
    const { device, property, unit, sign } = section.dataset;
    const [box, value] = [section.querySelector(".plot"), document.getElementById("history-value")];
    const hint = document.getElementById("plot-hint");
    const first = [Number(section.dataset.from), Number(section.dataset.to)];
    let [from, to] = first;
    let data = [[], [], [], []];
    let plot = null;
    const high = () => (innerWidth < 600 ? 240 : 360);
    const chart = {
      make() {
        plot?.destroy();
        const line = colour("accent");
        plot = new uPlot({
          width: box.clientWidth, height: high(), legend: { show: false }, pxAlign: false,
          cursor: { y: false, drag: { x: true, y: false, setScale: false } },
          scales: { x: { time: true, range: () => [from / 1e3, to / 1e3] }, y: { range: (_, min, max) => scaleOf(min, max, unit, false) } },
          axes: axes(unit, sign, false),
          bands: [{ series: [3, 2], fill: faint(line, 0.15) }],
          series: [
            {},
            { stroke: line, width: 1.5, points: { show: data[0].length < 60, size: 4 }, spanGaps: false },
            { stroke: "transparent", points: { show: false }, spanGaps: false },
            { stroke: "transparent", points: { show: false }, spanGaps: false },
          ],
          hooks: {
            setCursor: [(u) => {
              const at = u.cursor.idx;
              if (at == null || u.cursor.left < 0 || u.data[1][at] == null) { value.textContent = ""; return; }
              say(value, u.data[1][at], unit, sign);
              const when = document.createElement("span");
              when.className = "hint";
              when.textContent = ` ${new Date(u.data[0][at] * 1e3).toLocaleString()}`;
              value.append(when);
            }],
            setSelect: [(u) => {
              if (u.select.width < 4) return;
              const [a, b] = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              go(a * 1e3, b * 1e3);
            }],
          },
        }, data, box);
      },
      fit() {
        if (plot && (plot.width !== box.clientWidth || plot.height !== high())) {
          plot.setSize({ width: box.clientWidth, height: high() });
        }
      },
    };
    charts.push(chart);
    const go = async (a, b) => {
      if (b - a < 1000) return;
      [from, to] = [Math.round(a), Math.round(b)];
      const [since, until] = [new Date(from).toISOString(), new Date(to).toISOString()];
      const count = Math.max(60, Math.min(600, Math.floor(box.clientWidth)));
      document.getElementById("csv").search = new URLSearchParams({ property, since, until, format: "csv" });
      try {
        const said = await get(device, { property, since, until, count });
        const found = said.items.filter((one) => one.mean != null);
        const rows = found.map((one) => [Date.parse(one.timestamp) / 1e3, one.mean, one.min, one.max]);
        data = withGaps(rows, Math.max(60, (said.width_ms / 1e3) * 2.5));
        hint.textContent = rows.length
          ? "Drag over the chart to zoom in. The band goes from the least to the greatest reading."
          : "No reading in this time.";
      } catch (error) {
        hint.textContent = `The readings could not be loaded: ${error.message}`;
      }
      chart.make();
    };
    const moves = {
      in: (w) => [from + w / 4, to - w / 4],
      out: (w) => [from - w / 2, Math.min(to + w / 2, Date.now())],
      earlier: (w) => [from - w / 2, to - w / 2],
      later: (w) => { const end = Math.min(to + w / 2, Math.max(Date.now(), to)); return [end - w, end]; },
      reset: () => first,
    };
    const zoom = document.getElementById("zoom");
    zoom.hidden = false;
    zoom.addEventListener("click", (event) => {
      const move = moves[event.target.closest("[data-zoom]")?.dataset.zoom];
      if (move) go(...move(to - from));
    });
    go(from, to);
  };

  const [cards, section] = [document.getElementById("live"), document.getElementById("history")];
  if (cards) live(cards);
  if (section) history(section);
})();
