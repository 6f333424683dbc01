// A table that can be searched: rows without all of the words typed are hidden, and the number left is announced.
// Without this file, or without JavaScript, the box stays hidden and the whole table shows.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const place of document.querySelectorAll(".cookbook-searchable")) {
    const form = place.querySelector(".cookbook-search");
    const box = form.querySelector("input");
    const status = form.querySelector('[role="status"]');
    const rows = [...place.querySelectorAll("tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() }));

    const show = () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const { row, text } of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) left += 1;
      }
      status.textContent = `${left} of ${rows.length} rows`;
    };

    box.addEventListener("input", show);
    form.hidden = false;
    show(); // the browser may have kept what was typed before a reload
  }
});
