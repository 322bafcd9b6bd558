// What is asked for, in the address of the page: an upload cannot stand there, and is a step of the history.

export function fromAddress() {
  const words = new URLSearchParams(location.search);
  const number = (name, other) => (words.get(name) !== null && Number.isFinite(Number(words.get(name))) ? Number(words.get(name)) : other);
  return {
    path: words.get("path"),
    upload: history.state?.upload ?? null,
    cameras: words.getAll("camera"),
    top_k: number("top_k", 20),
    expand: number("expand", 0),
    rerank: words.get("rerank") === "1",
    at: number("at", 0.5),
    prior: words.get("prior") === null ? null : number("prior", null),
    seed: number("seed", 0),
  };
}

export function address(asked) {
  const words = new URLSearchParams();
  if (asked.path !== null) words.set("path", asked.path);
  for (const camera of asked.cameras) words.append("camera", camera);
  if (asked.top_k !== 20) words.set("top_k", asked.top_k);
  if (asked.expand) words.set("expand", asked.expand);
  if (asked.rerank) words.set("rerank", "1");
  if (asked.at !== 0.5) words.set("at", asked.at);
  if (asked.prior !== null) words.set("prior", asked.prior);
  if (asked.seed) words.set("seed", asked.seed);
  const text = words.toString();
  return text ? `/?${text}` : "/";
}
