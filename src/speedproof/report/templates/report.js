"use strict";
// Sorting and filtering of the tables. Everything can be read without this script.
(() => {
  const text = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value ?? cell.textContent.trim();
  };
  const order = (a, b) => {
    const [x, y] = [a, b].map((v) => Number(v.replaceAll(",", "") || NaN));
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
  };
  const sort = (table, heading) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => order(text(a, heading.cellIndex), text(b, heading.cellIndex)));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...(down ? rows.reverse() : rows));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(table, heading));
      heading.append(button);
    }
  }

  const section = document.getElementById("attempts");
  if (!section) return;
  const box = document.createElement("p");
  const input = document.createElement("input");
  const shown = document.createElement("output");
  input.type = "search";
  input.placeholder = "Filter: task, agent, verdict …";
  input.setAttribute("aria-label", "Filter attempts");
  box.className = "filter";
  box.append(input, shown);
  section.querySelector("h2").after(box);
  const rows = [...section.querySelectorAll("table.attempts tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const [row, content] of rows) {
      row.hidden = !words.every((word) => content.includes(word));
      count += row.hidden ? 0 : 1;
    }
    shown.value = words.length ? `${count} of ${rows.length}` : "";
  };
  input.addEventListener("input", filter);
  for (const item of document.querySelectorAll(".outcomes li")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...item.childNodes);
    button.addEventListener("click", () => {
      input.value = item.querySelector("span").textContent;
      filter();
      section.scrollIntoView();
    });
    item.append(button);
  }
})();
