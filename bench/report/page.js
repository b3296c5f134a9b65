"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
const copy = (text, button) => {
  const area = make("textarea", { value: text });
  button.after(area);
  area.select();
  button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C";
  area.remove();
};

// What is chosen for all tables and pictures: of what they are told by name, and numbers within bounds.
const filters = one("#filters");
const chosen = () => {
  const boxes = ["model", "backend", "kind"].map((name) => {
    const found = all(`#filters input[name=${name}]`);
    const values = (some) => new Set(some.map((box) => box.value));
    return [name, values(found), values(found.filter((box) => box.checked))];
  });
  const bounds = all("#filters input[type=number]").filter((input) => input.value !== "");
  return (of) =>
    boxes.every(([name, known, wanted]) => !known.has(of[name]) || wanted.has(of[name])) &&
    bounds.every(({ name, value, dataset: { end } }) => {
      if (!(name in of)) return true;
      return of[name] !== null && (end === "low" ? of[name] >= Number(value) : of[name] <= Number(value));
    });
};

// A table: sorted, filtered, its columns chosen, copied. It shows the first rows alone, so that it stays quick.
const FIRST = 200;
const number = (text) => {
  const found = /^-?[\d,]*\.?\d+(e[+-]?\d+)?/.exec(text);
  return found ? Number(found[0].replaceAll(",", "")) : text === "–" || text === "not ranked" || !text ? null : text;
};
const table = (part) => {
  const body = one("tbody", part);
  const heads = all("thead th", part);
  const at = Object.fromEntries(heads.map((head, i) => [head.textContent, i]));
  const rows = [...body.rows].map((row) => {
    const texts = [...row.cells].map((cell) => cell.textContent);
    const of = { model: texts[at.model], backend: texts[at.backend]?.split(" ")[0], kind: texts[at.kind] };
    for (const name of ["parameters", "size"]) if (name in at) of[name] = number(texts[at[name]]);
    return { row, texts, of, every: texts.join("\n") };
  });
  const shown = heads.map((head) => !("aside" in head.dataset));
  let most = FIRST;
  let found = rows;

  const column = make("select", { ariaLabel: "Column to search" }, make("option", { value: -1 }, "in any column"));
  heads.forEach((head, i) => column.append(make("option", { value: i }, `in ${head.textContent}`)));
  const words = make("input", { type: "search", placeholder: "words, e.g. healthy", ariaLabel: "Show rows with these words" });
  const count = make("output");
  const more = make("button", { type: "button" });
  const csv = make("button", { type: "button" }, "Copy as CSV");
  const choices = make("fieldset", { hidden: true });
  const choose = make("button", { type: "button", ariaExpanded: "false" }, "Columns");
  heads.forEach((head, i) => {
    const box = make("input", { type: "checkbox", checked: shown[i] });
    box.addEventListener("change", () => {
      shown[i] = box.checked;
      show();
    });
    choices.append(make("label", {}, box, head.textContent));
  });
  one(".wide", part).before(make("div", { className: "tools" }, words, column, count, more, choose, csv, choices));

  const show = () => {
    const visible = found.slice(0, most);
    for (const { row } of visible) [...row.cells].forEach((cell, i) => (cell.hidden = !shown[i]));
    heads.forEach((head, i) => (head.hidden = !shown[i]));
    body.replaceChildren(...visible.map(({ row }) => row));
    const of = found.length === rows.length ? "" : ` of ${rows.length.toLocaleString("en")}`;
    count.textContent = `${found.length.toLocaleString("en")}${of} row${rows.length === 1 ? "" : "s"}`;
    more.hidden = found.length <= most;
    more.textContent = `The first ${most} are shown; show all`;
  };
  const filter = () => {
    const wanted = chosen();
    // A word matches where a word begins: "healthy" is not in "unhealthy".
    const begins = words.value
      .split(/\s+/)
      .filter(Boolean)
      .map((word) => new RegExp(`(?<![\\p{L}\\d])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`, "iu"));
    const asked = Number(column.value);
    found = rows.filter(({ of, texts, every }) => wanted(of) && begins.every((word) => word.test(asked < 0 ? every : texts[asked])));
    show();
  };
  const sort = (head) => {
    const i = heads.indexOf(head);
    const keys = new Map(rows.map((each) => [each, number(each.texts[i].trim())]));
    const was = head.ariaSort;
    const down = was ? was === "ascending" : rows.some((each) => typeof keys.get(each) === "number");
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.sort((x, y) => {
      const [a, b] = [keys.get(x), keys.get(y)];
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return down ? -order : order;
    });
    filter();
  };
  heads.forEach((head) => {
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(head);
    });
  });
  words.addEventListener("input", filter);
  column.addEventListener("input", filter);
  more.addEventListener("click", () => {
    most = Infinity;
    show();
  });
  choose.addEventListener("click", () => {
    choices.hidden = !choices.hidden;
    choose.ariaExpanded = String(!choices.hidden);
  });
  csv.addEventListener("click", () => {
    const quoted = (texts) => texts.filter((_, i) => shown[i]).map((text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text));
    copy([heads.map((head) => head.textContent), ...found.map(({ texts }) => texts)].map((texts) => quoted(texts).join(",")).join("\n"), csv);
  });
  filter();
  return filter;
};
const opened = [];
const ready = (part) => part.addEventListener("toggle", () => opened.push(table(part)), { once: true });
all("details.table").forEach(ready);

// Pictures: panels vanish and marks in a shared panel fade with what is chosen.
const marked = all("main :is(svg, g, span):is([data-model], [data-backend], [data-kind])");
const filter = () => {
  const wanted = chosen();
  marked.forEach((element) => element.classList.toggle(element.tagName === "svg" ? "off" : "faint", !wanted(element.dataset)));
  opened.forEach((again) => again());
};
if (filters) {
  filters.hidden = false;
  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
}

// One dataset's pictures at a time.
const choice = one("#dataset");
const choose = () => all(".of-dataset").forEach((part) => part.classList.toggle("off", part.dataset.dataset !== choice.value));
if (choice) {
  one(".choice").hidden = choice.options.length < 2;
  choose();
  choice.addEventListener("change", choose);
}

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

// A picture can be enlarged, with its heading and legend, and its numbers can be read.
const large = one("#large");
const enlarge = (figure, panels) => {
  const clones = all(":scope > :is(figcaption, .legend)", figure).map((each) => each.cloneNode(true));
  clones.forEach((each) => all("button", each).forEach((button) => button.remove()));
  const holder = make("div", { className: "panels" }, ...panels.map((panel) => panel.cloneNode(true)));
  large.lastElementChild.replaceChildren(...clones, holder);
  large.showModal();
};
large.addEventListener("click", (event) => (event.target === large || event.target.tagName === "BUTTON") && large.close());
addEventListener("click", (event) => {
  const panel = event.target.closest?.("figure .panels > svg");
  if (panel && !event.target.closest("[data-tip]")) enlarge(panel.closest("figure"), [panel]);
});
all("figure").forEach((figure) => {
  const button = make("button", { type: "button" }, "Enlarge");
  button.addEventListener("click", () => enlarge(figure, all(".panels > svg:not(.off)", figure)));
  one("figcaption", figure).append(button);
  const numbers = make("details", { className: "table numbers" }, make("summary", {}, "The numbers of this picture"));
  numbers.addEventListener(
    "toggle",
    () => {
      const row = (mark) => {
        const [what, ...rest] = mark.dataset.tip.split(": ");
        return make("tr", {}, make("th", { scope: "row" }, what), make("td", { className: "w" }, rest.join(": ")));
      };
      const head = make("tr", {}, make("th", { className: "w", scope: "col" }, "what"), make("th", { className: "w", scope: "col" }, "numbers"));
      const body = make("tbody", {}, ...all("[data-tip]", figure).map(row));
      const holder = make("div", { className: "wide", tabIndex: 0 }, make("table", {}, make("thead", {}, head), body));
      numbers.append(holder);
      table(numbers);
    },
    { once: true },
  );
  figure.append(numbers);
});

// A program, copied.
all("button.copy").forEach((button) => button.addEventListener("click", () => copy(one("pre", button.parentElement).textContent, button)));
