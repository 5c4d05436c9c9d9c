"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const drawn = new Set();

  // the page's colours, for paper, text and grid; on a phone smaller letters and margins
  const themed = (layout) => {
    const small = innerWidth < 600;
    const look = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      "font.color": colour("--text"), "font.size": small ? 11 : 13,
      "hoverlabel.bgcolor": colour("--card"), "hoverlabel.font.color": colour("--text"), "hoverlabel.bordercolor": colour("--line"),
      "margin.l": small ? 44 : (layout.margin?.l ?? 70), "margin.r": small ? 8 : (layout.margin?.r ?? 20),
    };
    for (const axis of ["xaxis", "yaxis"]) {
      look[`${axis}.gridcolor`] = colour("--line");
      look[`${axis}.linecolor`] = colour("--muted");
    }
    return look;
  };
  const set = (target, path, value) => {
    const keys = path.split("."), last = keys.pop();
    keys.reduce((inner, key) => (inner[key] ??= {}), target)[last] = value;
  };
  const draw = (chart) => {
    if (drawn.has(chart)) return;
    drawn.add(chart);
    const figure = read(`figure-${chart.dataset.figure}`);
    for (const [path, value] of Object.entries(themed(figure.layout))) set(figure.layout, path, value);
    if (innerWidth < 600) for (const axis of ["xaxis", "yaxis"]) thin(figure.layout[axis]);
    const tools = ["select2d", "lasso2d", "autoScale2d"];
    Plotly.newPlot(chart, figure.data, figure.layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: tools })
      .then(() => chart.classList.add("drawn"));
  };
  // fewer ticks where there is little room
  const thin = (axis) => {
    if (!axis?.tickvals || !axis.ticktext || axis.tickvals.length < 5) return;
    const keep = (_, index) => index % 2 === 0;
    axis.tickvals = axis.tickvals.filter(keep);
    axis.ticktext = axis.ticktext.filter(keep);
  };
  const charts = [...document.querySelectorAll(".chart")];
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "300px" });
  charts.forEach((chart) => watcher.observe(chart));
  dark.addEventListener("change", () => drawn.forEach((chart) => Plotly.relayout(chart, themed(chart.layout))));

  // a link to a student opens it
  const open = () => {
    const part = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (part?.tagName === "DETAILS") { part.open = true; part.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();

  // paper shows all of it
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((part) => { part.open = true; });
    charts.forEach(draw);
  });

  // the switch between costs
  const costs = document.getElementById("switch") ? read("switch") : {};
  document.querySelectorAll("input[name=cost]").forEach((input) => input.addEventListener("change", () => {
    const chart = document.querySelector(".chart[data-figure=front]"), to = costs[input.value];
    draw(chart);
    const moved = structuredClone(to.layout);
    for (const [path, value] of Object.entries(themed(chart.layout))) if (path.startsWith("xaxis")) set(moved, path, value);
    if (innerWidth < 600) thin(moved.xaxis);
    Plotly.update(chart, { x: to.x }, moved);
    for (const [index, y] of Object.entries(to.y)) Plotly.restyle(chart, { y: [y] }, [Number(index)]);
  }));

  // tables that sort by a column, numbers by their size
  const value = (row, column) => {
    const cell = row.cells[column], text = cell.dataset.value ?? cell.textContent.trim();
    const number = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? text : number;
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].filter((row) => !row.classList.contains("total"));
        rows.sort((a, b) => {
          const [x, y] = [value(a, column), value(b, column)];
          const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
          return down ? -order : order;
        });
        rows.forEach((row) => table.tBodies[0].append(row));
      });
    });
  });

  // a command is copied by a click
  document.querySelectorAll("button.copy").forEach((button) => button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }));
})();
