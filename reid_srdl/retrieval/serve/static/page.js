// The page of a search. What is asked for stands in the address, so that it can be kept, sent on and gone back to; an upload cannot,
// and lives as long as the page does.

import { address, fromAddress } from "./asked.js";
import { element, nameOf, shot } from "./elements.js";
import { among, brief, called, percent } from "./numbers.js";
import { ask, sentence } from "./server.js";

const $ = (id) => document.getElementById(id);
const uploads = new Map(); // name of an upload, in the state of a step of the history, to its file
let health = { limits: {} };
let steps = 0; // queries since the page was opened, that can be gone back from
let running = null; // aborts the search that is under way
let found = null; // the last answer, with which the line is drawn again

// --- what is asked for, in the address ---------------------------------------------------------------------------------

let asked = fromAddress();

function step(change) { // another query: a step that the browser's and the page's way back undo
  asked = { ...asked, path: null, upload: null, ...change };
  steps += 1;
  history.pushState({ upload: asked.upload, steps }, "", address(asked));
  search(true);
}

function adjust(change) { // the same query, otherwise
  asked = { ...asked, ...change };
  history.replaceState({ ...history.state, upload: asked.upload, steps }, "", address(asked));
}

// --- asking the server -------------------------------------------------------------------------------------------------

async function search(moves) {
  running?.abort();
  running = null;
  $("hits").classList.remove("busy");
  problem(null);
  showQuery();
  const upload = asked.upload === null ? null : uploads.get(asked.upload);
  if (asked.path === null && !upload) {
    $("found").hidden = true;
    if (asked.upload !== null) problem({ error: "The uploaded image is gone with the page.", hint: "Upload it again." });
    return;
  }
  const form = new FormData();
  if (upload) form.append("image", upload);
  else form.append("path", asked.path);
  for (const camera of asked.cameras) form.append("camera", camera);
  form.append("top_k", hitsAsked());
  for (const name of ["expand", "rerank"]) form.append(name, asked[name]);
  if (asked.prior !== null) form.append("prior", asked.prior);
  if (upload && upload.size > health.limits.body) {
    $("found").hidden = true;
    problem({ error: "This image is too large.", hint: `The server takes ${Math.floor(health.limits.body / 2 ** 20)} MiB at most.` });
    return;
  }
  const mine = new AbortController();
  running = mine;
  $("hits").classList.add("busy");
  try {
    const answer = await ask("/search", { method: "POST", body: form, signal: mine.signal });
    if (running !== mine) return;
    found = answer;
    if (!asked.expand) calibrated(answer.prior, answer.why_no_probability);
    if (answer.query) picture(answer.query.picture, "image is gone");
    showHits(moves);
  } catch (error) {
    if (running !== mine) return;
    $("found").hidden = true;
    if (!upload) picture(null);
    problem(error);
  } finally {
    if (running === mine) $("hits").classList.remove("busy");
  }
}

function problem(what) {
  $("problem").hidden = what === null;
  if (what === null) return;
  $("error").textContent = what.error ? `${what.error.replace(/\.$/, "")}.` : "Something went wrong in this page.";
  $("hint").textContent = what.hint ?? String(what);
}

// --- what is shown -----------------------------------------------------------------------------------------------------

function entry(item, caption) { // a picture that becomes the next query when it is chosen
  const button = element("button", { type: "button", title: item.path }, shot(item.picture, item.path), element("span", { className: "caption" }, ...caption));
  button.addEventListener("click", () => step({ path: item.path }));
  return button;
}

function caption(hit) {
  const lines = [[element("b", { text: hit.rank })], [`distance ${brief(hit.distance)}`]];
  if (hit.probability !== null) lines[0].push(" · ", element("b", { text: percent(hit.probability) }));
  if (hit.reranked !== null) lines.push([`re-ranked ${hit.reranked.toFixed(3)}`]);
  if (hit.camera !== null) lines.push([`camera ${hit.camera}`]);
  if (hit.label !== null) lines.push([hit.name ?? `label ${hit.label}`]);
  return lines.flatMap((line, number) => (number ? [element("br"), ...line] : line));
}

function showHits(moves) {
  const items = found.hits.map((hit) => element("li", {}, entry(hit, caption(hit))));
  $("hits").replaceChildren(...items);
  $("found").hidden = false;
  showLine();
  if (moves) {
    $("found-title").focus({ preventScroll: true });
    const wide = matchMedia("(min-width: 761px)").matches;
    (wide ? document.body : $("drop")).scrollIntoView({ block: "start" });
  }
}

function showLine() { // where the probability falls below what is called the same
  $("hits").querySelectorAll(".line").forEach((line) => line.remove());
  if (!found) return;
  const items = [...$("hits").children];
  const same = found.hits.map((hit) => hit.probability !== null && hit.probability >= asked.at);
  items.forEach((item, number) => item.classList.toggle("same", same[number]));
  const count = same.filter(Boolean).length;
  const of = asked.cameras.length ? ` of camera ${asked.cameras.join(", ")}` : "";
  if (!items.length) {
    $("status").textContent = `There is no image${of} to be found.`;
    return;
  }
  const order = found.reranked ? "ordered by k-reciprocal re-ranking" : "nearest first";
  let words = `${items.length} ${items.length === 1 ? "image" : "images"}${of}, ${order}.`;
  if (found.prior !== null) {
    words += ` ${count} at ${called(asked.at)} or more, where ${among(found.prior)}.`;
    if (!found.reranked) { // re-ranked hits are in another order: their frames alone tell
      const line = element("li", { className: "line", text: count === items.length ? `all are at ${called(asked.at)} or more` : `below ${called(asked.at)}` });
      $("hits").insertBefore(line, items[count] ?? null);
    }
  } else if (found.why_no_probability) {
    words += ` No probabilities: ${found.why_no_probability}.`;
  }
  $("status").textContent = `${words} Choose one to search for it next.`;
}

let shown = null; // the address of the picture of an upload, to be given back
function showQuery() {
  if (shown) URL.revokeObjectURL(shown);
  shown = null;
  const upload = asked.upload === null ? null : uploads.get(asked.upload);
  $("query").hidden = asked.path === null && !upload;
  $("back").hidden = !(history.state?.steps > 0);
  if ($("query").hidden) return;
  const name = upload ? upload.name || "pasted image" : nameOf(asked.path);
  $("query-name").textContent = upload ? name : `${name}, of the gallery`;
  $("query-picture").alt = `query: ${name}`;
  if (upload) shown = URL.createObjectURL(upload);
  if (upload || asked.path !== found?.query?.path) picture(shown);
}

function picture(address, gone = "") { // of the query; of an image of the gallery it comes with the answer
  $("query-picture").hidden = address === null;
  $("query-gone").hidden = address !== null;
  $("query-gone").textContent = gone;
  if (address === null) $("query-picture").removeAttribute("src");
  else $("query-picture").src = address;
}

async function showSample() {
  try {
    const gallery = await ask(`/gallery?count=12&seed=${asked.seed}`);
    showCameras(gallery.cameras);
    $("samples").replaceChildren(...gallery.images.map((item) => element("li", {}, entry(item, [item.camera === null ? nameOf(item.path) : `camera ${item.camera}`]))));
    $("sample").hidden = !gallery.images.length;
  } catch (error) {
    problem(error);
  }
}

// --- options -----------------------------------------------------------------------------------------------------------

function showCameras(cameras) {
  $("cameras-of").hidden = cameras.length < 2 && !asked.cameras.length;
  const known = [...new Set([...cameras.map(String), ...asked.cameras])];
  $("cameras").replaceChildren(
    ...known.map((camera) => {
      const box = element("input", { type: "checkbox", value: camera, checked: asked.cameras.includes(camera) });
      box.addEventListener("change", () => {
        adjust({ cameras: [...$("cameras").querySelectorAll(":checked")].map((one) => one.value) });
        search();
      });
      return element("label", {}, box, camera);
    }),
  );
}

function calibrated(prior, why) { // a calibration may come, and go, while the page is open
  $("threshold-of").disabled = prior === null;
  $("calibration").textContent = prior === null && why ? `No probabilities: ${why}.` : "";
  if (health.prior === null && prior !== null) {
    health.prior = prior;
    showOptions();
  }
}

function hitsAsked() { // no more than the server gives, of which an address may know nothing
  return Math.min(asked.top_k, health.limits.top_k ?? Infinity);
}

function showOptions() {
  for (const name of ["top_k", "expand"]) {
    $(name).value = name === "top_k" ? hitsAsked() : asked[name];
    $(name).max = health.limits[name] ?? "";
  }
  $("rerank").checked = asked.rerank;
  $("threshold").value = Number((100 * asked.at).toFixed(2));
  $("threshold-range").value = asked.at;
  const prior = asked.prior ?? health.prior;
  $("prior").value = prior ? Number((1 / prior).toPrecision(4)) : "";
  for (const box of $("cameras").querySelectorAll("input")) box.checked = asked.cameras.includes(box.value);
}

function whole(name) { // what was typed, within what is allowed
  const field = $(name);
  const value = Math.round(Number(field.value));
  const kept = Math.min(Math.max(Number.isFinite(value) ? value : 0, Number(field.min)), Number(field.max) || Infinity);
  field.value = kept;
  return kept;
}

for (const name of ["top_k", "expand"]) {
  $(name).addEventListener("change", () => {
    adjust({ [name]: whole(name) });
    search();
  });
}
$("rerank").addEventListener("change", () => {
  adjust({ rerank: $("rerank").checked });
  search();
});
$("threshold-range").addEventListener("input", () => threshold(Number($("threshold-range").value)));
$("threshold").addEventListener("change", () => threshold(Math.min(Math.max(Number($("threshold").value) || 50, 1), 99) / 100));
function threshold(at) {
  adjust({ at });
  showOptions();
  showLine();
}
$("prior").addEventListener("change", () => {
  const pairs = Number($("prior").value);
  adjust({ prior: pairs > 1 ? Number((1 / pairs).toPrecision(6)) : null });
  showOptions();
  search();
});
$("form").addEventListener("submit", (event) => event.preventDefault());

// --- ways to a query ---------------------------------------------------------------------------------------------------

function upload(file) {
  if (!file) return;
  if (!file.type.startsWith("image/")) {
    problem({ error: `${file.name} is no image.`, hint: "Upload a JPEG, PNG, WebP, BMP or TIFF." });
    return;
  }
  const number = `${performance.timeOrigin}-${uploads.size}`; // given once: the history outlives a page and what was uploaded to it
  uploads.set(number, file);
  step({ upload: number });
}

for (const name of ["upload", "photo"]) {
  $(name).addEventListener("change", () => {
    upload($(name).files[0]);
    $(name).value = ""; // so that the same file can be chosen again
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget ?? $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  upload(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => upload([...event.clipboardData.files][0]));
$("others").addEventListener("click", () => {
  adjust({ seed: asked.seed + 1 });
  showSample();
});
$("back").addEventListener("click", () => history.back());
$("query-picture").addEventListener("error", () => picture(null, "cannot be shown"));

addEventListener("popstate", () => {
  const { seed } = asked;
  asked = fromAddress();
  steps = history.state?.steps ?? 0;
  showOptions();
  if (asked.seed !== seed) showSample();
  search(true);
});

async function begin() {
  steps = history.state?.steps ?? 0;
  adjust({}); // takes the token, which has become a cookie, out of the address
  if (matchMedia("(max-width: 760px)").matches) $("options").open = false;
  try {
    health = await ask("/health");
  } catch (error) {
    problem(error);
    return;
  }
  $("title").textContent = health.index;
  document.title = `${health.index} – search`;
  $("lead").textContent = `Which of ${health.images.toLocaleString("en")} images are most like this person?`;
  calibrated(health.prior, health.why_not);
  $("state").hidden = health.status === "ok";
  $("state").textContent = health.status === "ok" ? "" : `${sentence(health.trouble)} What is shown is what was there before.`;
  showOptions();
  showSample();
  search();
}
begin();
