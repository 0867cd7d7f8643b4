// The gallery, the theme and the navigation of the results page. Everything that is shown is in the page.
"use strict";
(() => {
  const RATE = 8; // frames per second
  const GAIN = 4; // of differences
  const CLOSEST = 16; // screen pixels for one of the picture
  const STEP = 1.5; // of one press of + or −
  const TINT = [255, 176, 0]; // of W
  const TRUTH = 0; // its pane

  const find = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  /** A new element: text is text, never markup. */
  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function press(group, chosen) {
    for (const button of group.children) button.setAttribute("aria-pressed", String(button === chosen));
  }

  // --- theme and navigation ---

  const dark = matchMedia("(prefers-color-scheme: dark)");
  function offerTheme() {
    const theme = document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
    const other = theme === "dark" ? "light" : "dark";
    Object.assign(find("theme"), { hidden: false, textContent: other === "dark" ? "Dark" : "Light", value: other });
    find("theme").setAttribute("aria-label", `Show the page in ${other} colours`);
  }
  find("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = find("theme").value;
    offerTheme();
  });
  dark.addEventListener("change", offerTheme);
  offerTheme();

  const links = [...document.querySelectorAll("nav ul a")];
  const sections = links.map((link) => document.querySelector(link.hash));
  /** Mark the last section that begins above a line, which sinks near the end of the page, where none can rise to it. */
  function markSection() {
    const left = Math.max(0, document.documentElement.scrollHeight - innerHeight - scrollY);
    const line = Math.max(innerHeight / 3, innerHeight - left);
    const tops = sections.map((section) => section.getBoundingClientRect().top);
    const asked = links.findIndex((link) => link.hash === location.hash);
    const index = left < 1 && tops[asked] >= 0 ? asked : tops.filter((top) => top < line).length - 1;
    const current = links[index];
    for (const link of links) {
      if (link === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }
  addEventListener("scroll", markSection, { passive: true });
  addEventListener("hashchange", markSection);
  markSection();

  // a table that is too wide is scrolled by the keyboard too
  const boxes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(".scroll")) boxes.observe(box);

  // --- gallery: what is shown ---

  const items = JSON.parse(find("gallery-data").textContent);
  if (!items.length) return;
  const viewer = find("viewer");
  const stage = find("stage");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const state = {
    item: -1, // index of the chosen item; `pictures` are its decoded ones once they are there
    pictures: null,
    frame: 0,
    playing: false,
    mode: "slider",
    layer: "picture", // or "difference", or the index of a map
    sides: ["Bicubic", ""], // names of the panes left and right; "" is the last
    split: 0.5, // where the divider is, from 0 at the left
    zoom: 1, // 1 is the whole picture
    x: 0.5, // what is in the middle of each pane, as a part of the picture
    y: 0.5,
  };
  let panes = []; // of the stage: { canvas, view, index, scores }
  let visible = true;

  const item = () => items[state.item];
  const zoomed = () => state.zoom > 1.001;

  function side(which) {
    const index = item().panes.findIndex((pane) => pane.name === state.sides[which]);
    return index >= 0 ? index : which ? item().panes.length - 1 : 0;
  }

  /** Decode all pictures of an item, then show it; whoever is chosen meanwhile comes first. */
  async function choose(index) {
    if (index < 0 || index >= items.length || index === state.item) return;
    Object.assign(state, { item: index, pictures: null, frame: 0, playing: false, zoom: 1, x: 0.5, y: 0.5 });
    stage.setAttribute("aria-busy", "true");
    const button = find("items").children[index];
    press(find("items"), button);
    button.parentElement.scrollTo({ left: button.offsetLeft - button.parentElement.clientWidth / 2 });
    keepFocus(() => {
      fillControls();
      build();
    });
    const urls = JSON.parse(find(`pictures-${index}`).textContent);
    const decoded = await Promise.all([urls.panes, urls.maps].map((group) => Promise.all(group.map(decode))));
    if (state.item !== index) return;
    state.pictures = { panes: decoded[0], maps: decoded[1] };
    stage.setAttribute("aria-busy", "false");
    draw();
    play(item().frames > 1 && !still.matches);
  }

  function decode(urls) {
    return Promise.all(
      urls.map(async (url) => {
        const image = new Image();
        image.src = url;
        await image.decode();
        return image;
      }),
    );
  }

  // --- drawing ---

  const scratch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

  /** The pixels of a picture at the size of the item, enlarged without smoothing; RGBA bytes. */
  function pixels(image) {
    const { width, height } = item();
    Object.assign(scratch.canvas, { width, height });
    scratch.imageSmoothingEnabled = false;
    scratch.drawImage(image, 0, 0, width, height);
    return scratch.getImageData(0, 0, width, height);
  }

  function difference(picture, truth) {
    for (let i = 0; i < picture.length; i++) {
      if (i % 4 < 3) picture[i] = GAIN * Math.abs(picture[i] - truth[i]);
    }
  }

  function overlay(picture, map) {
    for (let i = 0; i < picture.length; i += 4) {
      const weight = map[i] / 255;
      const gray = 0.5 * (0.299 * picture[i] + 0.587 * picture[i + 1] + 0.114 * picture[i + 2]);
      for (let c = 0; c < 3; c++) picture[i + c] = gray + weight * (TINT[c] - gray);
    }
  }

  /** Draw the current frame and layer into all panes at once. */
  function draw() {
    if (!state.pictures) return;
    const { frame, layer, pictures } = state;
    const truth = layer === "difference" && pixels(pictures.panes[TRUTH][frame]).data;
    const map = typeof layer === "number" && pixels(pictures.maps[layer][frame]).data;
    for (const { canvas, index, scores } of panes) {
      const picture = pixels(pictures.panes[index][frame]);
      if (truth && index !== TRUTH) difference(picture.data, truth);
      if (map) overlay(picture.data, map);
      canvas.getContext("2d").putImageData(picture, 0, 0);
      canvas.dataset.frame = frame;
      scores.textContent = (item().panes[index].scores || [])[frame] || "";
    }
    find("frame").value = frame;
    find("time").textContent = `${item().first + frame} (${frame + 1} of ${item().frames})`;
  }

  /** Put all pictures where zoom and position say: the same in every pane. */
  function place() {
    if (!panes.length) return;
    const room = 0.5 / state.zoom;
    state.x = clamp(state.x, room, 1 - room);
    state.y = clamp(state.y, room, 1 - room);
    for (const { canvas, view } of panes) {
      const scale = (view.clientWidth / canvas.width) * state.zoom;
      const left = view.clientWidth / 2 - state.x * canvas.width * scale;
      const top = view.clientHeight / 2 - state.y * canvas.height * scale;
      canvas.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
      canvas.style.imageRendering = scale >= 2 ? "pixelated" : "auto";
      view.classList.toggle("zoomed", zoomed());
      find("zoom").textContent = `${scale.toFixed(1)}×`;
    }
  }

  /** Zoom by a factor; the point of the pane at (x, y), from 0 to 1, stays where it is. */
  function zoom(factor, x = 0.5, y = 0.5) {
    const fit = panes[0].view.clientWidth / panes[0].canvas.width;
    const before = state.zoom;
    state.zoom = clamp(before * factor, 1, Math.max(1, CLOSEST / fit));
    state.x += (x - 0.5) * (1 / before - 1 / state.zoom);
    state.y += (y - 0.5) * (1 / before - 1 / state.zoom);
    place();
  }

  /** Move by parts of the pane. */
  function pan(x, y) {
    state.x -= x / state.zoom;
    state.y -= y / state.zoom;
    place();
  }

  function split(to) {
    state.split = clamp(to, 0, 1);
    const divider = stage.querySelector(".divider");
    if (!divider) return;
    const percent = Math.round(100 * state.split);
    stage.querySelector(".half.left").style.clipPath = `inset(0 ${100 - 100 * state.split}% 0 0)`;
    divider.style.left = `${100 * state.split}%`;
    divider.setAttribute("aria-valuenow", percent);
    const [left, right] = [side(0), side(1)].map((index) => item().panes[index].name);
    divider.setAttribute("aria-valuetext", `${percent} % ${left}, ${100 - percent} % ${right}`);
  }

  // --- the stage ---

  function pane(index, view) {
    const { width, height, panes: known } = item();
    const canvas = make("canvas", { width, height });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${known[index].name} of ${item().name}`);
    const scores = make("span");
    const caption = make("div", {}, make("b", { textContent: known[index].name }), scores);
    panes.push({ canvas, view, index, scores });
    return { canvas, caption };
  }

  function view() {
    const element = make("div", { className: "view" });
    element.style.aspectRatio = `${item().width} / ${item().height}`;
    return element;
  }

  /** Make the panes of the chosen item and mode. */
  function build() {
    panes = [];
    stage.className = state.mode;
    if (state.mode === "slider") {
      const frame = view();
      const right = pane(side(1), frame);
      const left = pane(side(0), frame);
      const divider = make("div", { className: "divider", tabIndex: 0 });
      const attributes = { role: "slider", "aria-label": "Divider", "aria-valuemin": 0, "aria-valuemax": 100 };
      for (const [name, value] of Object.entries(attributes)) divider.setAttribute(name, value);
      frame.append(
        make("div", { className: "half" }, right.canvas),
        make("div", { className: "half left" }, left.canvas),
        divider,
      );
      const caption = make("figcaption", {}, left.caption, right.caption);
      stage.replaceChildren(make("figure", { className: "pair" }, frame, caption));
      stage.firstChild.style.setProperty("--shape", item().width / item().height);
      split(state.split);
    } else {
      const count = item().panes.length;
      stage.style.setProperty("--columns", count > 4 ? Math.min(5, Math.ceil(count / 2)) : count);
      const figures = item().panes.map((_, index) => {
        const frame = view();
        const { canvas, caption } = pane(index, frame);
        frame.append(canvas);
        return make("figure", { className: "pane" }, frame, make("figcaption", {}, caption));
      });
      stage.replaceChildren(...figures);
    }
    place();
    draw();
  }

  /** Make a change that may take away what has the focus: its successor has it then, or the stage. */
  function keepFocus(change) {
    const before = document.activeElement;
    const ours = viewer.contains(before);
    change();
    if (!ours || before.getClientRects().length) return;
    const successor = before.matches(".divider") ? ".divider" : `#layers [value="${before.value}"]`;
    (viewer.querySelector(successor) || stage).focus({ preventScroll: true });
  }

  function fillControls() {
    const { panes: known, maps, frames, note, set, name } = item();
    for (const [which, id] of ["left", "right"].entries()) {
      find(id).replaceChildren(...known.map((one) => make("option", { textContent: one.name })));
      find(id).selectedIndex = side(which);
    }
    const layers = [["picture", "Picture"], ["difference", `Difference ×${GAIN}`]];
    maps.forEach((map, index) => layers.push([index, `W: ${map}`]));
    if (!layers.some(([layer]) => layer === state.layer)) state.layer = "picture";
    find("layers").replaceChildren(
      ...layers.map(([layer, label]) => {
        const onclick = () => setLayer(layer);
        const button = make("button", { type: "button", value: layer, textContent: label, onclick });
        button.setAttribute("aria-pressed", String(layer === state.layer));
        return button;
      }),
    );
    find("player").hidden = frames < 2;
    find("frame").max = frames - 1;
    find("caption").textContent = [`${name}: ${set}.`, note].filter(Boolean).join(" ");
  }

  function setLayer(layer) {
    state.layer = layer;
    const names = ["picture", "difference", ...item().maps.keys()];
    press(find("layers"), find("layers").children[names.indexOf(layer)]);
    draw();
  }

  function setMode(mode) {
    state.mode = mode;
    press(find("modes"), find("modes").querySelector(`[data-mode=${mode}]`));
    keepFocus(() => {
      find("sides").hidden = mode !== "slider";
      if (state.item >= 0) build();
    });
  }

  function setSides(left, right) {
    state.sides = [left, right].map((index) => item().panes[index].name);
    find("left").selectedIndex = left;
    find("right").selectedIndex = right;
    keepFocus(build);
  }

  // --- clips ---

  function play(on) {
    state.playing = on;
    find("play").textContent = on ? "Pause" : "Play";
  }

  function show(frame) {
    const count = item().frames;
    state.frame = (frame + count) % count;
    draw();
  }

  function step(by) {
    play(false);
    show(state.frame + by);
  }

  setInterval(() => {
    if (state.playing && state.pictures && visible && !document.hidden) show(state.frame + 1);
  }, 1000 / RATE);
  still.addEventListener("change", () => still.matches && play(false));
  new IntersectionObserver(([entry]) => (visible = entry.isIntersecting)).observe(stage);

  // --- mouse, touch, wheel ---

  const pointers = new Map();

  /** Where a pointer is in the pane under it, from 0 to 1. */
  function within(event, frame) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
  }

  stage.addEventListener("pointerdown", (event) => {
    const frame = event.target.closest(".view");
    if (!frame || event.button) return;
    const divides = state.mode === "slider" && (event.target.matches(".divider") || !zoomed());
    pointers.set(event.pointerId, { ...within(event, frame), frame, divides });
    frame.setPointerCapture(event.pointerId);
    if (divides && pointers.size === 1) split(within(event, frame).x);
  });

  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = within(event, before.frame);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const [was, is] = [before, now].map((point) => Math.hypot(point.x - other.x, point.y - other.y));
      zoom(is / Math.max(was, 0.01), (now.x + other.x) / 2, (now.y + other.y) / 2);
      pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else if (before.divides) {
      split(now.x);
    } else {
      pan(now.x - before.x, now.y - before.y);
    }
    Object.assign(before, now);
  });

  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }

  stage.addEventListener("dblclick", (event) => {
    const frame = event.target.closest(".view");
    if (!frame || event.target.matches(".divider")) return;
    const { x, y } = within(event, frame);
    zoom(zoomed() ? 0 : 4, x, y);
  });

  // the wheel scrolls the page until the gallery has the focus, and again when there is nothing to zoom out of
  stage.addEventListener(
    "wheel",
    (event) => {
      const frame = event.target.closest(".view");
      const meant = event.ctrlKey || (viewer.contains(document.activeElement) && (event.deltaY < 0 || zoomed()));
      if (!frame || !meant) return;
      event.preventDefault();
      const { x, y } = within(event, frame);
      zoom(Math.exp(-0.002 * event.deltaY * (event.deltaMode ? 30 : 1)), x, y);
    },
    { passive: false },
  );

  // --- keys ---

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function dividerKey(key) {
    const { split: at } = state;
    const moves = { ArrowLeft: at - 0.02, ArrowDown: at - 0.02, ArrowRight: at + 0.02, ArrowUp: at + 0.02 };
    const jumps = { Home: 0, End: 1, PageDown: at - 0.1, PageUp: at + 0.1 };
    const to = { ...moves, ...jumps }[key];
    if (to !== undefined) split(to);
    return to !== undefined;
  }

  function arrowKey(key) {
    const [x, y] = ARROWS[key];
    if (zoomed()) pan(-x / 8, -y / 8);
    else if (state.mode === "slider" && x) split(state.split + 0.02 * x);
    return zoomed() || (state.mode === "slider" && x);
  }

  function nextLayer() {
    const names = ["picture", "difference", ...item().maps.keys()];
    setLayer(names[(names.indexOf(state.layer) + 1) % names.length]);
  }

  const KEYS = {
    "+": () => zoom(STEP),
    "=": () => zoom(STEP),
    "-": () => zoom(1 / STEP),
    0: () => zoom(0),
    "[": () => choose(state.item - 1),
    "]": () => choose(state.item + 1),
    v: () => setMode(state.mode === "slider" ? "grid" : "slider"),
    l: nextLayer,
    x: () => setSides(side(1), side(0)),
    ",": () => step(-1),
    ".": () => step(1),
    "?": () => find("keys").showModal(),
  };
  for (let digit = 1; digit <= 9; digit++) KEYS[digit] = () => choose(digit - 1);

  viewer.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select")) return;
    let used = false;
    if (target.matches(".divider") && dividerKey(key)) used = true;
    else if (key in ARROWS && !target.matches("input")) used = arrowKey(key);
    else if (key === " " && !target.matches("button")) used = item().frames > 1 && (play(!state.playing), true);
    else if (key.toLowerCase() in KEYS) used = (KEYS[key.toLowerCase()](), true);
    if (used) event.preventDefault();
  });

  // --- begin ---

  items.forEach(({ name, set, thumbnail }, index) => {
    const image = make("img", { src: thumbnail, alt: "" });
    const button = make("button", { type: "button", title: `${name}: ${set}`, onclick: () => choose(index) });
    button.append(image, make("span", { textContent: name }));
    find("items").append(button);
  });
  for (const button of find("modes").children) button.onclick = () => setMode(button.dataset.mode);
  for (const id of ["left", "right"]) {
    find(id).onchange = () => setSides(find("left").selectedIndex, find("right").selectedIndex);
  }
  find("swap").onclick = () => setSides(side(1), side(0));
  find("in").onclick = () => zoom(STEP);
  find("out").onclick = () => zoom(1 / STEP);
  find("fit").onclick = () => zoom(0);
  find("help").onclick = () => find("keys").showModal();
  find("play").onclick = () => play(!state.playing);
  find("frame").oninput = () => {
    play(false);
    show(Number(find("frame").value));
  };
  new ResizeObserver(place).observe(stage);
  viewer.hidden = false;
  setMode("slider");
  choose(0);
})();
