"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);

// Sorting: numbers by value, words by alphabet, what is missing last.
const value = (cell) => {
  const text = cell.textContent.trim();
  const number = /^-?[\d,]*\.?\d+(e[+-]?\d+)?/.exec(text);
  return number ? Number(number[0].replaceAll(",", "")) : text === "–" || text === "not ranked" ? null : text;
};
const sort = (head) => {
  const table = head.closest("table");
  const column = head.cellIndex;
  const rows = all("tbody tr", table);
  const numeric = rows.some((row) => typeof value(row.cells[column]) === "number");
  const was = head.getAttribute("aria-sort");
  const down = was ? was === "ascending" : numeric;
  all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  rows
    .map((row) => [value(row.cells[column]), row])
    .sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return down ? -order : order;
    })
    .forEach(([, row]) => table.tBodies[0].append(row));
};
all(".sortable thead th").forEach((head) => {
  head.tabIndex = 0;
  head.addEventListener("click", () => sort(head));
  head.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      sort(head);
    }
  });
});

// Filtering: rows and panels vanish, marks in a shared panel fade.
const filters = one("#filters");
const marked = all("main [data-model], main [data-backend], main [data-kind]");
const cases = new Set(all(".cases tbody tr"));
const rows = new Map(marked.filter((row) => row.tagName === "TR").map((row) => [row, [...row.cells].map((cell) => cell.textContent).join(" ")]));
const filter = () => {
  const boxes = ["model", "backend", "kind"]
    .map((name) => [name, all(`input[name=${name}]`, filters)])
    .filter(([, found]) => found.length)
    .map(([name, found]) => [name, new Set(found.filter((box) => box.checked).map((box) => box.value))]);
  const bounds = all("input[type=number]", filters).filter((input) => input.value !== "");
  const within = (row) =>
    bounds.every(({ name, value, dataset }) => {
      const size = Number.parseFloat(row.dataset[name]);
      return dataset.end === "low" ? size >= value : size <= value;
    });
  // A word matches where a word begins: "healthy" is not in "unhealthy".
  const words = one("#words").value.split(/\s+/).filter(Boolean);
  const begins = words.map((word) => new RegExp(`(?<![\\p{L}\\d])${word.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}`, "iu"));
  for (const element of marked) {
    const wanted = boxes.every(([name, chosen]) => !(name in element.dataset) || chosen.has(element.dataset[name]));
    if (element.tagName === "TR") {
      const shown = wanted && (!cases.has(element) || within(element));
      element.classList.toggle("off", !shown || !begins.every((word) => word.test(rows.get(element))));
    } else {
      element.classList.toggle(element.tagName === "svg" ? "off" : "faint", !wanted);
    }
  }
  one("#count").textContent = `${[...cases].filter((row) => !row.classList.contains("off")).length} of ${cases.size} cases`;
};
if (filters) {
  filters.hidden = false;
  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filter();
}

// One dataset's pictures at a time; on paper, all of them.
const choice = one("#dataset");
const choose = () => all(".of-dataset").forEach((part) => part.classList.toggle("off-page", part.dataset.dataset !== choice.value));
if (choice) {
  one(".choice").hidden = choice.options.length < 2;
  if (choice.options.length) choose();
  choice.addEventListener("change", choose);
}
addEventListener("beforeprint", () => all("details").forEach((part) => (part.open = true)));

// What a mark says.
const tip = one("#tip");
const tell = (event) => {
  const mark = event.target.closest?.("[data-tip]");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  (mark.closest("dialog") ?? document.body).append(tip);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 8))}px`;
  tip.style.top = `${event.clientY - height - 12 < 4 ? event.clientY + 18 : event.clientY - height - 12}px`;
};
addEventListener("pointermove", tell);
addEventListener("pointerdown", tell);
addEventListener("scroll", () => (tip.hidden = true), { passive: true });

// A picture, enlarged.
const large = one("#large");
addEventListener("click", (event) => {
  const panel = event.target.closest?.(".panels > svg");
  if (!panel || event.target.closest("[data-tip]")) return;
  large.lastElementChild.replaceChildren(panel.cloneNode(true));
  large.showModal();
});
large.addEventListener("click", (event) => (event.target === large || event.target.tagName === "BUTTON") && large.close());

// A program, copied.
all("button.copy").forEach((button) =>
  button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(button.parentElement.querySelector("pre"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C";
  }),
);
