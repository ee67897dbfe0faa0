// Plays the walks. Nothing on the page depends on it.
for (const walk of document.querySelectorAll(".walk")) {
  const figures = [...walk.querySelectorAll(".strip figure")];
  const player = walk.querySelector(".player");
  if (figures.length < 2 || !player) continue;
  const stage = player.querySelector(".stage");
  const slider = player.querySelector("input");
  const button = player.querySelector("button");
  const output = player.querySelector("output");
  const last = figures.length - 1;

  const show = (index) => {
    const image = figures[index].querySelector("img");
    const position = figures[index].querySelector("figcaption").textContent;
    stage.src = image.src;
    stage.alt = image.alt;
    slider.value = index;
    slider.setAttribute("aria-valuetext", position);
    output.textContent = position;
    walk.style.setProperty("--at", index / last);
    figures.forEach((figure, i) => figure.classList.toggle("here", i === index));
  };

  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    let step = 1;
    button.textContent = "Stop";
    timer = setInterval(() => {
      const at = Number(slider.value);
      if (at + step < 0 || at + step > last) step = -step;
      show(at + step);
    }, 220);
  });
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  figures.forEach((figure, index) => {
    figure.addEventListener("click", () => {
      stop();
      show(index);
    });
  });
  show(Number(walk.dataset.middle));
  player.hidden = false;
  walk.classList.add("playing-ready");
}

// On paper the recipe is shown; the factors folded away are in the overview.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("#again details")) details.open = true;
});
