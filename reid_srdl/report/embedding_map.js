// Singles a person of the map out.
"use strict";
(() => {
  const buttons = document.querySelectorAll(".people button");
  const groups = document.querySelectorAll(".map .person");
  buttons.forEach((button) => {
    button.addEventListener("click", () => {
      const alone = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.person;
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.person === alone)));
      groups.forEach((group) => group.classList.toggle("faded", alone !== null && group.dataset.person !== alone));
    });
  });
})();
