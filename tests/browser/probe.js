// What a page shows, as plain data. Runs in the page; returns an object for built_book.Visit.seen.
async () => {
  if (window.MathJax?.startup) await window.MathJax.startup.promise;
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const article = document.querySelector("article") ?? document.body;

  const prose = article.cloneNode(true);
  all("pre, code, script, style, mjx-container", prose).forEach((node) => node.remove());

  const rgb = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.a > 0.99) return colour;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (element) => {
    const [high, low] = [rgb(getComputedStyle(element).color), ground(element)].map(luminance).sort((p, q) => q - p);
    return (high + 0.05) / (low + 0.05);
  };

  const read = "p, li, td, th, dt, dd, h1, h2, figcaption, .cookbook-document pre";
  return {
    theme: document.documentElement.dataset.theme,
    language: document.documentElement.lang,
    ground: luminance(ground(article)),
    title: document.title,
    headings: all("h1", article).map((node) => node.textContent.trim()),
    ids: all("[id]").map((node) => node.id),
    links: all("a[href]").map((node) => node.href),
    images: all("img").map((node) => ({
      source: node.getAttribute("src"),
      alt: node.getAttribute("alt") ?? "",
      shown: node.complete && node.naturalWidth > 0,
      named_by_link: !!node.closest("a")?.textContent.trim(),
      in_article: article.contains(node),
      in_figure: !!node.closest("figure"),
      light_box: rgb(getComputedStyle(node).backgroundColor).a > 0,
    })),
    captions: all("figure", article).map((node) => node.querySelector("figcaption")?.textContent.trim() ?? ""),
    formulas: all(".math", article).map((node) => ({
      drawn: !!node.querySelector("mjx-container svg"),
      broken: !!node.querySelector("mjx-merror, [data-mjx-error]"),
      text: node.textContent.trim().slice(0, 80),
    })),
    raw_tex: /\\\(|\\\[|\$\$/.test(prose.textContent),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    faint: all(read, article)
      .filter((node) => node.textContent.trim() && node.checkVisibility() && contrast(node) < 4.5)
      .map((node) => `${contrast(node).toFixed(1)}: ${node.textContent.trim().slice(0, 60)}`),
    downloads: all("a.btn-download-source-button, a[download]").map((node) => node.href),
    launches: all(".dropdown-launch-buttons a").map((node) => node.href),
  };
}
