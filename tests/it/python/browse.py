"""Opens a page in headless Chromium, on a desktop and on a phone, in light and in dark, and prints what it saw as JSON.

Usage: browse.py PAGE [FOLDER], a file, and where screenshots go.
"""
import json
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 740}}

# The luminance that a colour has for WCAG's contrast (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
CONTRAST = """() => {
  const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
  return Math.min(...texts.map((element) => {
    const style = getComputedStyle(element);
    const front = luminance(channels(element instanceof SVGElement ? style.fill : style.color));
    const back = luminance(background(element));
    return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  }));
}"""


def look(browser, url, size, scheme, folder):
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    if folder:
        page.screenshot(path=f"{folder}/{size}-{scheme}.png", full_page=True)
    seen = {
        "requests": [request for request in requests if request != url],
        "complaints": complaints,
        "title": page.title(),
        "charts": page.locator("svg").count(),
        "scripts": page.locator("script").count(),
        "too_wide": page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
        "background": page.evaluate("getComputedStyle(document.body).backgroundColor"),
        "least_contrast": page.evaluate(CONTRAST),
    }
    context.close()
    return seen


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    url = Path(sys.argv[1]).resolve().as_uri()
    folder = sys.argv[2] if len(sys.argv) > 2 else None
    print(json.dumps({
        f"{size} {scheme}": look(browser, url, size, scheme, folder)
        for size in SIZES for scheme in ("light", "dark")
    }))
