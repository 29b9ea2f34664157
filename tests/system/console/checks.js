// What a page must have for everybody to use it. Gives a sentence for each thing that is missing.
() => {
  const CONTRAST_MIN = 4.5;
  const CONTRAST_LARGE_MIN = 3; // WCAG 2.2, 1.4.3: from 24 px on, or 18.66 px and bold
  const faults = [];
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen, .skip");
  const all = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
  const about = (element) => `<${element.tagName.toLowerCase()} class="${element.className}"> ${element.textContent.trim().slice(0, 40)}`;

  // Names and roles.
  const named = (id) => id && id.split(" ").map((one) => document.getElementById(one)?.textContent ?? "").join(" ").trim();
  const nameOf = (element) =>
    named(element.getAttribute("aria-labelledby")) || element.getAttribute("aria-label") ||
    [...(element.labels ?? [])].map((label) => label.textContent).join(" ").trim() ||
    (["BUTTON", "A"].includes(element.tagName) ? element.textContent.trim() : "");
  for (const element of all("button, a[href], input, select, progress, [role=progressbar], [role=region], [role=tabpanel], section, nav, dialog"))
    if (!nameOf(element)) faults.push(`has no name: ${about(element)}`);
  for (const element of all("img")) if (!element.hasAttribute("alt")) faults.push(`has no alt: ${element.src}`);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((one, place) => ids.indexOf(one) !== place))) faults.push(`is there twice: #${id}`);
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby], [aria-controls]"))
    for (const name of ["aria-labelledby", "aria-describedby", "aria-controls"])
      for (const id of (element.getAttribute(name) ?? "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) faults.push(`${name} names nothing: ${id}`);
  if (all("h1").length !== 1) faults.push(`has ${all("h1").length} titles`);
  if (all("main").length !== 1) faults.push(`has ${all("main").length} mains`);
  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1 && !heading.closest(".review")) faults.push(`leaves a level out: ${about(heading)}`);
    level = next;
  }

  // Contrast of every text with what is behind it.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const seen = new Map();
  const rgba = (colour) => {
    if (seen.has(colour)) return seen.get(colour);
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    seen.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
    return seen.get(colour);
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba(getComputedStyle(document.documentElement).getPropertyValue("--back"));
  };
  const light = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !isShown(element) || element.closest(":disabled, script, template, option, noscript")) continue;
    if (/^(null|undefined|NaN|\[object .*\])$/.test(texts.currentNode.data.trim())) faults.push(`says what only a program would: ${about(element)}`);
    const style = getComputedStyle(element);
    const [one, other] = [light(rgba(style.color)), light(behind(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? CONTRAST_LARGE_MIN : CONTRAST_MIN;
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < least) faults.push(`contrast is ${contrast.toFixed(2)}: ${about(element)}`);
  }

  // A page as wide as the screen, and targets that a finger finds (WCAG 2.2, 2.5.8).
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`is wider than the screen: ${document.documentElement.scrollWidth}`);
  for (const element of all("button, .button, select, nav a")) {
    const { width, height } = element.getBoundingClientRect();
    if (isShown(element) && (width < 24 || height < 24)) faults.push(`is too small: ${about(element)}`);
  }
  return faults;
}
