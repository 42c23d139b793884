"use strict";

// Theme: as the system has it, or light, or dark. Nothing is stored.
const theme = document.getElementById("theme");
const themes = ["as the system", "light", "dark"];
theme.hidden = false;
theme.addEventListener("click", () => {
  const said = theme.querySelector("span");
  const next = themes[(themes.indexOf(said.textContent) + 1) % themes.length];
  said.textContent = next;
  if (next === themes[0]) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
});

// Sorting: a click on a heading sorts by it, another turns the order round; empty cells stay last.
const body = document.querySelector("#table tbody");
const rows = Array.from(body.rows);
const numeric = (cell) => cell.dataset.n !== undefined;
function compare(a, b, column, direction) {
  const [x, y] = [a.cells[column], b.cells[column]];
  const [noX, noY] = [x.textContent === "", y.textContent === ""];
  if (noX || noY) return noX - noY;
  if (numeric(x) && numeric(y)) return direction * (x.dataset.n - y.dataset.n);
  return direction * x.textContent.localeCompare(y.textContent, "en", { numeric: true });
}
document.querySelectorAll("#table th").forEach((heading, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = heading.textContent;
  heading.replaceChildren(button);
  button.addEventListener("click", () => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    document.querySelectorAll("#table th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    rows.sort((a, b) => compare(a, b, column, descending ? -1 : 1));
    body.append(...rows);
  });
});

// Filter: rows that hold every word typed.
const filter = document.getElementById("filter");
filter.hidden = false;
filter.querySelector("input").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  filter.querySelector("output").textContent = words.length ? `${shown} of ${rows.length}` : "";
});

// What a mark in a chart stands for, under the pointer. The tables say the same in text.
const tip = document.getElementById("tip");
document.addEventListener("pointermove", (event) => {
  const mark = event.target.closest && event.target.closest("svg [aria-label]:not(svg)");
  const words = mark && mark.getAttribute("role") === "graphics-symbol" && mark.getAttribute("aria-label");
  tip.hidden = !words || mark.getAttribute("aria-roledescription") === "axis" || mark.getAttribute("aria-roledescription") === "legend" || mark.getAttribute("aria-roledescription") === "title";
  if (tip.hidden) return;
  tip.textContent = words;
  const right = event.clientX + 14 + tip.offsetWidth > innerWidth;
  // Styles set from a script are allowed by the policy; style attributes in the file are not.
  tip.style.left = `${Math.max(4, right ? event.clientX - tip.offsetWidth - 14 : event.clientX + 14)}px`;
  tip.style.top = `${event.clientY + 14}px`;
});

// The records, where the page has them: unpacked and handed over as the file that "epochmark results
// import" reads.
const download = document.getElementById("download");
if (download) {
  download.hidden = false;
  download.addEventListener("click", async () => {
    const packed = JSON.parse(document.getElementById("bundle").textContent).gzip;
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await new Response(unpacked).blob());
    link.download = "epochmark-records.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}
