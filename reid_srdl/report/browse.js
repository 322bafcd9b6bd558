// Shows the ranked lists of the page: filters, order, pages. All text goes in as text, never as HTML.
"use strict";
(() => {
  const place = document.getElementById("browse");
  const data = JSON.parse(document.getElementById("browse-data").textContent);
  const KINDS = ["match", "mistake", "distractor"];
  const MARKS = ["✓", "✗", "–"];
  const MEANINGS = ["the same person", "another person", "a distractor"];
  const SIZE = 8;
  const form = place.querySelector("form");
  const lists = place.querySelector(".lists");
  const pagers = [...place.querySelectorAll(".pager")];
  let chosen = [];
  let page = 0;

  const make = (tag, kind, ...children) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    element.append(...children);
    return element;
  };
  const pair = (query) => `${query.camera} → ${query.seen_by}`;
  const name = (query) => data.names[query.image];

  const shot = (number, meaning) => {
    const frame = make("span", "shot");
    if (data.jpegs[number]) {
      const image = make("img");
      image.src = `data:image/jpeg;base64,${data.jpegs[number]}`;
      image.alt = `${meaning}: ${data.names[number]}`;
      image.title = data.names[number];
      frame.append(image);
    } else {
      frame.append(make("span", "gone", data.names[number]));
    }
    return frame;
  };
  const caption = (bold, ...lines) => {
    const text = make("span", "caption", make("b", "", bold));
    lines.filter((line) => line !== null).forEach((line) => text.append(make("br"), line));
    return text;
  };
  const camera = (number) => (number === null ? null : `camera ${number}`);
  const list = (query) => {
    const told = make("p", "", make("b", "", `AP ${(100 * query.ap).toFixed(1)} %`));
    told.append(`, first of ${query.matches} ${query.matches === 1 ? "match" : "matches"} at rank ${query.first}`);
    if (query.camera !== null) told.append(`, cameras ${pair(query)}`);
    told.append(`, person ${query.person} `, make("small", "", name(query)));
    const found = make("ol", "found");
    query.found.forEach(([number, distance, seen, kind], rank) => {
      const item = make("li", KINDS[kind], shot(number, MEANINGS[kind]));
      item.append(caption(`${rank + 1} ${MARKS[kind]}`, String(distance), camera(seen)));
      found.append(item);
    });
    const asked = make("div", "query", shot(query.image, "query"), caption("query", camera(query.camera)));
    return make("div", "list", told, asked, found);
  };

  const show = () => {
    const pages = Math.max(1, Math.ceil(chosen.length / SIZE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const some = chosen.slice(page * SIZE, (page + 1) * SIZE);
    lists.replaceChildren(...some.map(list));
    if (!some.length) lists.append(make("p", "note", "No query is like that."));
    pagers.forEach((pager, number) => {
      const said = `${chosen.length} of ${data.queries.length} queries, page ${page + 1} of ${pages}`;
      pager.querySelector("span").textContent = chosen.length ? said : `0 of ${data.queries.length} queries`;
      pager.querySelector('[data-step="-1"]').disabled = page === 0;
      pager.querySelector('[data-step="1"]').disabled = page === pages - 1;
      pager.hidden = number > 0 && some.length < 3;
    });
  };
  const filter = () => {
    const wanted = new FormData(form);
    const part = wanted.get("name").trim().toLowerCase();
    chosen = data.queries.filter((query) =>
      (wanted.get("kind") === "" || (wanted.get("kind") === "failures") === query.first > 1)
      && (!wanted.get("cameras") || pair(query) === wanted.get("cameras"))
      && name(query).toLowerCase().includes(part));
    const by = {
      worst: (a, b) => a.ap - b.ap,
      best: (a, b) => b.ap - a.ap,
      name: (a, b) => name(a).localeCompare(name(b), "en", { numeric: true }),
    };
    chosen.sort(by[wanted.get("order")]);
    page = 0;
    show();
  };
  const turn = (step) => {
    const before = page;
    const pressed = document.activeElement;
    page += step;
    show();
    // A button that has just been turned off would lose the keyboard.
    if (pressed.disabled) pressed.parentElement.querySelector("button:not(:disabled)")?.focus();
    if (page !== before) form.scrollIntoView({ block: "nearest" });
  };

  const pairs = new Map();
  data.queries.forEach((query) => pairs.set(pair(query), (pairs.get(pair(query)) || 0) + 1));
  const select = form.elements.cameras;
  if (data.queries.some((query) => query.camera === null || query.seen_by === null) || pairs.size < 2) {
    select.parentElement.hidden = true;
  } else {
    const inOrder = [...pairs].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    inOrder.forEach(([value, number]) => select.append(new Option(`${value} (${number})`, value)));
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  pagers.forEach((pager) => pager.addEventListener("click", (event) => {
    if (event.target.dataset.step) turn(Number(event.target.dataset.step));
  }));
  place.addEventListener("keydown", (event) => {
    const writing = ["INPUT", "SELECT"].includes(event.target.tagName);
    if (writing || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") turn(event.key === "ArrowLeft" ? -1 : 1);
  });
  place.hidden = false;
  filter();
})();
