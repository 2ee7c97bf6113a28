"use strict";
// Tables: sort by a heading, filter by words, copy. Charts: drawn one after the other, in the page's own colours.
const read = (id) => JSON.parse(document.getElementById(id).textContent);

function value(row, column) {
  const cell = row.cells[column];
  const raw = cell.dataset.v;
  if (raw === undefined) return null;
  return cell.classList.contains("n") ? Number(raw) : raw.toLowerCase();
}

function sortBy(table, heading) {
  const column = heading.cellIndex;
  const down = heading.getAttribute("aria-sort") === "descending" || (heading.classList.contains("t") && heading.getAttribute("aria-sort") === "none");
  const sign = down ? 1 : -1;
  for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", down ? "ascending" : "descending");
  const body = table.tBodies[0];
  body.classList.remove("grouped");
  const rows = [...body.rows].map((row) => [value(row, column), row]);
  rows.sort(([one], [two]) => one === two ? 0 : one === null ? 1 : two === null ? -1 : one < two ? -sign : sign);
  body.append(...rows.map(([, row]) => row));
}

function filter(table, count, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase() + " " + [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ");
    row.hidden = !wanted.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  count.textContent = wanted.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
}

async function copy(button, papers) {
  const text = papers[button.dataset.of][button.dataset.copy];
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // pages from disk may not be allowed to
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = before; }, 1200);
}

function tables() {
  const papers = read("papers");
  for (const section of document.querySelectorAll("section.table")) {
    const table = section.querySelector("table[data-name]");
    if (!table) continue;
    table.tBodies[0].classList.add("grouped");
    for (const heading of table.querySelectorAll("th[data-name]")) {
      heading.querySelector("button").addEventListener("click", () => sortBy(table, heading));
    }
    const input = section.querySelector("input[type=search]");
    if (input) input.addEventListener("input", () => filter(table, section.querySelector(".count"), input.value));
    for (const button of section.querySelectorAll("button[data-copy]")) button.addEventListener("click", () => copy(button, papers));
  }
}

// A click on a legend hides what it names, another shows it again.
function toggle(place, view, target) {
  const item = target.__data__;
  const role = item && item.mark && item.mark.role;
  if (role !== "legend-symbol" && role !== "legend-label") return;
  const name = item.datum.value;
  const before = view.signal("hidden");
  const after = before.includes(name) ? before.filter((other) => other !== name) : [...before, name];
  view.signal("hidden", after).runAsync();
  for (const entry of place.querySelectorAll(".role-legend-symbol > *, .role-legend-label > *")) {
    if (entry.__data__ && entry.__data__.datum) entry.style.opacity = after.includes(entry.__data__.datum.value) ? 0.35 : "";
  }
}

async function charts() {
  const specs = read("charts");
  const options = {
    renderer: "svg", config: specs.config, tooltip: { theme: "custom", disableDefaultStyle: true },
    actions: { export: true, source: false, compiled: false, editor: false },
  };
  window.views = {};
  for (const place of document.querySelectorAll("[data-chart]")) {
    try {
      const drawn = await vegaEmbed(place, specs.charts[place.dataset.chart], { ...options, bind: place.closest("figure").querySelector(".choices") });
      window.views[place.dataset.chart] = drawn.view;
      const hides = (specs.charts[place.dataset.chart].params || []).some((param) => param.name === "hidden");
      if (hides) place.addEventListener("click", (event) => toggle(place, drawn.view, event.target));
      place.classList.toggle("hides", hides);
    } catch (error) {
      place.classList.add("broken");
      console.error(place.dataset.chart, error);
    }
  }
  document.documentElement.dataset.drawn = "yes";
}

tables();
charts();
