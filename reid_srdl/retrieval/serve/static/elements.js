// Pieces of a page. Whatever comes from the server is set as text, never as HTML.

export function element(name, { text, ...properties } = {}, ...inside) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== undefined) made.textContent = text;
  made.append(...inside);
  return made;
}

export const nameOf = (path) => path.split("/").pop();

export function shot(picture, path) {
  const gone = () => element("span", { className: "gone" }, element("span", { text: "image is gone" }), element("br"), nameOf(path));
  const frame = element("span", { className: "shot" });
  if (picture === null) {
    frame.append(gone());
  } else {
    const image = element("img", { src: picture, alt: nameOf(path), decoding: "async" });
    image.addEventListener("error", () => image.replaceWith(gone()));
    frame.append(image);
  }
  return frame;
}
