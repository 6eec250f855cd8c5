import type { Page } from "playwright-core";

/** Functions that check layout and accessibility in a real browser. */

export const LOOKS = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  phone: { colorScheme: "light", viewport: { width: 360, height: 740 } },
} as const;

const axeSource = await Bun.file(Bun.resolveSync("axe-core/axe.min.js", import.meta.dir)).text();

type Finding = { id: string; nodes: { html: string; failureSummary?: string }[] };

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Returns violations of WCAG 2.2 AA and of axe's best practices. */
export async function axe(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(
    async (only) =>
      (await (globalThis as unknown as { axe: { run(options: object): Promise<unknown> } }).axe.run({
        runOnly: only,
      })) as { violations: Finding[] },
    RULES,
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]!.html} ${nodes[0]!.failureSummary ?? ""}`);
}

/** Returns the number of pixels by which the page is wider than the screen. */
export const wider = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Returns ids or names of controls that extend beyond the right margin of the page. */
export const beyondMargin = (page: Page) =>
  page.evaluate(() => {
    const main = document.querySelector("main")!;
    const right = main.getBoundingClientRect().right - Number.parseFloat(getComputedStyle(main).paddingRight);
    return [...main.querySelectorAll("input, select, textarea, button")]
      .filter((control) => control.getBoundingClientRect().right > right + 0.5)
      .map((control) => control.id || control.getAttribute("name") || control.textContent.trim());
  });

/** Returns navigation links that are covered by the freshness indicator. */
export const overNavigation = (page: Page) =>
  page.evaluate(() => {
    const age = document.querySelector("#freshness p")?.getBoundingClientRect();
    return [...document.querySelectorAll("nav a")].flatMap((link) => {
      const { left, right, top, bottom } = link.getBoundingClientRect();
      const isUnder =
        age && left < age.right && age.left < right && top < age.bottom - 1 && age.top < bottom - 1;
      return isUnder ? [link.textContent] : [];
    });
  });
