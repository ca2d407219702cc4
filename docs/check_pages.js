// Look at pages in a frame, in light and dark, wide and narrow; tell what is wrong with each.
// check_pages.py serves this with `pages`, and injects `window.__errors` into every page.
const WIDTHS = [1280, 390];
const HEIGHT = 800;
const NORMAL = 4.5; // WCAG 2.2, level AA
const LARGE = 3; // the same, from 24 px on, or 18.66 px in bold

function colour(text) {
  const numbers = (text.match(/-?[\d.]+(e-?\d+)?%?/g) || []).map(parseFloat);
  if (text.startsWith("rgb")) return [...numbers.slice(0, 3), numbers[3] ?? 1];
  if (text.startsWith("color(srgb"))
    return [...numbers.slice(0, 3).map((x) => 255 * x), numbers[3] ?? 1];
  return null;
}

function over(top, below) {
  const a = top[3];
  return [0, 1, 2].map((i) => a * top[i] + (1 - a) * below[i]).concat(1);
}

function luminance(rgb) {
  const [r, g, b] = rgb.slice(0, 3).map((value) => {
    const x = value / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

// The colour behind an element; null where a picture or a gradient is.
function background(element, known) {
  if (!element) return [255, 255, 255, 1];
  if (known.has(element)) return known.get(element);
  const style = getComputedStyle(element);
  let found = null;
  const own = colour(style.backgroundColor) || [0, 0, 0, 0];
  if (own[3] === 1 && style.backgroundImage === "none") found = own;
  else if (style.backgroundImage === "none") {
    const below = background(element.parentElement, known);
    found = below && over(own, below);
  }
  known.set(element, found);
  return found;
}

function name(element) {
  const kind = [...element.classList].slice(0, 2).map((one) => `.${one}`).join("");
  return element.tagName.toLowerCase() + kind;
}

function faint(page) {
  const known = new Map();
  const found = new Map();
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || seen.has(element)) continue;
    seen.add(element);
    if (/^(SCRIPT|STYLE|NOSCRIPT|OPTION|TITLE)$/i.test(element.tagName)) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const box = element.getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1 || element.closest("[disabled], .MathJax")) continue;
    const style = getComputedStyle(element);
    const svg = element.namespaceURI.endsWith("svg");
    let ink = colour(svg ? style.fill : style.color);
    const behind = background(svg ? element.closest("svg").parentElement : element, known);
    if (!ink || !behind || svg) continue; // drawings are looked at by eye
    let alpha = 1;
    for (let up = element; up; up = up.parentElement) alpha *= +getComputedStyle(up).opacity;
    ink = over([...ink.slice(0, 3), ink[3] * alpha], behind);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700) ? LARGE : NORMAL;
    const ratio = contrast(ink, behind);
    if (ratio < needed - 0.005) {
      const text = walker.currentNode.data.trim().slice(0, 30);
      const place = name(element);
      if (!found.has(place)) found.set(place, `contrast ${ratio.toFixed(2)} of ${place} "${text}"`);
    }
  }
  return [...found.values()];
}

function wide(page, width) {
  const faults = [];
  const root = page.documentElement;
  const parts = [root, ...page.querySelectorAll(".bd-article-container, article")];
  for (const part of parts) {
    if (part.scrollWidth <= part.clientWidth + 1) continue;
    const edge = part.getBoundingClientRect().left + part.clientWidth;
    const beyond = [...part.querySelectorAll("*")].filter((one) => {
      const box = one.getBoundingClientRect();
      if (box.right <= edge + 1 || !one.checkVisibility()) return false;
      for (let up = one.parentElement; up && up !== part; up = up.parentElement)
        if (getComputedStyle(up).overflowX !== "visible") return false;
      return true;
    });
    const reach = Math.max(...beyond.map((one) => one.getBoundingClientRect().right));
    const culprit = beyond.findLast((one) => one.getBoundingClientRect().right === reach);
    const what = culprit ? `, by ${name(culprit)} "${culprit.textContent.trim().slice(0, 30)}"` : "";
    faults.push(`${name(part)} is ${part.scrollWidth} px wide, ${part.clientWidth} fit${what}`);
  }
  return faults;
}

async function look(frame, address) {
  frame.style.width = `${WIDTHS[0]}px`;
  frame.style.height = `${HEIGHT}px`;
  const ready = new Promise((done) => (frame.onload = done));
  frame.src = address;
  await ready;
  await new Promise((done) => setTimeout(done, 30)); // scripts that run once the page is there
  const page = frame.contentDocument;
  const heights = {};
  for (const width of WIDTHS) {
    frame.style.width = `${width}px`;
    heights[width] = page.documentElement.scrollHeight;
  }
  page.querySelectorAll("details").forEach((one) => (one.open = true));
  const faults = new Set();
  for (const theme of ["light", "dark"]) {
    page.documentElement.dataset.theme = theme;
    for (const width of WIDTHS) {
      frame.style.width = `${width}px`;
      await new Promise((done) => setTimeout(done, 0));
      const found = [...faint(page), ...(theme === "light" ? wide(page, width) : [])];
      for (const fault of found) faults.add(`${width} px, ${theme}: ${fault}`);
    }
  }
  for (const error of frame.contentWindow.__errors || []) faults.add(`console: ${error}`);
  return { faults: [...faults], heights };
}

(async () => {
  const frame = document.querySelector("iframe");
  for (const address of pages) {
    let found;
    try {
      found = await look(frame, `/${address}`);
    } catch (error) {
      found = { faults: [`not looked at: ${error}`], heights: {} };
    }
    await fetch("/__found__", { method: "POST", body: JSON.stringify({ address, ...found }) });
  }
  await fetch("/__done__", { method: "POST", body: "{}" });
})();
