// Opens a benchmark page in a real browser and holds it to its own data.
//
//   npm install playwright-core && apt-get install chromium
//   hobbs bench --format html --output bench.html && node page_test.mjs bench.html [SCREENSHOTS]
//
// Exit 0: it loads from file:// with no network and no console errors, has a drawn chart for each
// one that the data has, says in its tables what the data says, at phone and desktop widths, in
// light and dark, and without scripts. Needs what Bazel here does not have, so it is no Bazel test.
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [file, shots] = process.argv.slice(2);
const url = pathToFileURL(file).href;
const problems = [];
const check = (ok, what) => { if (!ok) problems.push(what); };

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const [name, width, colorScheme, javaScriptEnabled] of [
  ["desktop-light", 1280, "light", true], ["desktop-dark", 1280, "dark", true],
  ["phone-light", 390, "light", true], ["phone-dark", 390, "dark", true],
  ["no-script", 1280, "light", false]]) {
  const page = await browser.newPage(
    { viewport: { width, height: 900 }, colorScheme, javaScriptEnabled });
  page.on("console", (m) => { if (m.type() === "error") problems.push(`${name}: ${m.text()}`); });
  page.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
  page.on("request", (r) => check(/^(file|data):/.test(r.url()), `${name}: asked for ${r.url()}`));
  await page.goto(url);
  const data = JSON.parse(await page.locator("#data").textContent());
  for (const [i, workload] of data.workloads.entries()) {
    const rows = page.locator(`#w${i} .scroll table`).first().locator("tbody tr");
    const count = await rows.count();
    check(count === workload.cases.length, `${name}: ${workload.name} has ${count} rows`);
    for (const [row, one] of workload.cases.entries()) {
      const lock = await rows.nth(row).locator("th").textContent();
      check(lock === one.lock, `${name}: row ${row} of ${workload.name} is ${lock}`);
    }
  }
  const curves = data.workloads.filter((w) => w.cases.some((c) => c.percentiles)).length;
  const charts = await page.locator(".chart canvas").count();
  const wanted = javaScriptEnabled ? curves + data.scaling.length : 0;
  check(charts === wanted, `${name}: ${charts} charts of ${wanted}`);
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    .catch(() => 0);
  check(overflow <= 0, `${name}: ${overflow} pixels too wide`);
  if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: false });
  await page.close();
}
await browser.close();
for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? "the page is as it should be" : `${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
