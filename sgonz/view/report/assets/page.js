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
    } catch (error) {
      place.classList.add("broken");
      console.error(place.dataset.chart, error);
    }
  }
  document.documentElement.dataset.drawn = "yes";
}

tables();
charts();
