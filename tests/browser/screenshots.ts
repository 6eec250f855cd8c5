import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import type { Deps } from "../../edge/deps.ts";
import type { Dynamo } from "../../shared/table/dynamo.ts";
import { chromiumPath, lacking, launch } from "./chromium.ts";
import { company } from "./company.ts";
import { type Edge, startEdge, TENANT } from "./edge.ts";
import {
  changeHost,
  containTo,
  furnishWebhook,
  OUTCOMES,
  reportOn,
  requestIsolations,
  setFourEyes,
} from "./scenarios.ts";
import { fleetHours, type Host, putHosts, putItems, reportAgain } from "./seed.ts";

/**
 * Takes the screenshots for the README: `bun tests/browser/screenshots.ts [folder]`. With `--tour` and a
 * folder, it instead takes screenshots of every page in every state, in light mode, in dark mode and at phone
 * size. Use the tour for a review before a release.
 */

/** Isolates three hosts with production transactions. The isolations are proven, acknowledged and pending. */
async function contain(deps: Deps, hosts: Host[], session: string): Promise<void> {
  const idOf = (hostname: string) => hosts.find((host) => host.hostname === hostname)!.assetId;
  const change = async (hostname: string, mode: "observe" | "network", justification: string) => {
    const assetId = idOf(hostname);
    const generation = await changeHost(deps, session, { assetId, action: "isolate", mode, justification });
    return { assetId, generation, mode };
  };
  const prove = ({ assetId, ...told }: Awaited<ReturnType<typeof change>>) =>
    reportOn(deps, assetId, { ...told, action: "isolate" });
  await prove(
    await change("fin-lt-0233", "network", "INC-2291: renamed inference binary next to quarter-end ledgers"),
  );
  await prove(
    await change("hq-lt-0610", "observe", "Rehearsal of the isolation runbook with the owner's consent"),
  );
  await change("sales-lt-0088", "network", "INC-2294: customer list opened next to an unapproved engine");
}

type Shot = {
  name: string;
  path: string;
  scheme?: "light" | "dark";
  width?: number;
  height?: number;
  full?: boolean;
  /** Interaction with the page before the screenshot is taken. */
  act?: (page: Page) => Promise<void>;
  /** Session token to use instead of the administrator's. */
  as?: string;
};

const LOOKS = { light: {}, dark: { scheme: "dark" }, phone: { width: 360, height: 780 } } as const;

/** Id of an organisation whose database reads fail. */
const AWAY = "org_2mW8vFqkT4away";
const withOneAway = (dynamo: Dynamo): Dynamo =>
  ((operation: never, input: never) => {
    if (JSON.stringify(input).includes(AWAY)) throw new Error("the table is away");
    return dynamo(operation, input);
  }) as unknown as Dynamo;

/** Sends the isolation form with an expired CSRF token. */
async function sendStale(page: Page): Promise<void> {
  const form = page.locator("#isolate");
  await form.locator("#justification").fill("INC-2302: it lay open for too long");
  await form.locator("input[name=confirm]").check();
  await form.locator("input[name=csrf]").evaluate((field: HTMLInputElement) => {
    field.value = `1700000000.${"A".repeat(43)}`;
    field.form!.requestSubmit();
  });
  await page.waitForSelector(".failure");
}

/** Creates an enrolment token. The page that shows the token has no URL of its own, so the form must be submitted. */
async function makeToken(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Create token" }).click();
  await page.waitForSelector("#commands-title");
  for (const system of await page.locator("details.system").all())
    await system.evaluate((details: HTMLDetailsElement) => {
      details.open = true;
    });
}

async function tourOf(
  edge: Edge,
  [asset, contained, webhook]: readonly [string, string, string],
  outcomes: ReadonlyMap<string, string>,
): Promise<Shot[]> {
  const viewer = await edge.session({ userId: "vera.ruiz", role: "viewer" });
  const responder = await edge.session({ userId: "ines.second", role: "responder", sessionId: "sess_r" });
  const empty = await edge.session({ tenantId: "org_2mW8vFqkT4empty" });
  const away = await edge.session({ tenantId: AWAY });
  const roleless = await edge.session({ userId: "bill", role: "billing" });
  const pages: Omit<Shot, "scheme" | "width">[] = [
    ...["incidents", "assets", "inventory", "employees", "custody", "report", "approvals", "policy"].map(
      (name) => ({ name, path: `/${name}` }),
    ),
    ...["integrations", "settings", "enrol"].map((name) => ({ name, path: `/${name}` })),
    { name: "overview", path: "/" },
    { name: "asset", path: asset },
    { name: "contained", path: contained },
    { name: "incident", path: `${asset.replace("/assets", "/incidents")}.exposed-engine.ollama` },
    ...[...outcomes].map(([name, path]) => ({ name: `asset-${name}`, path })),
    { name: "enrol-made", path: "/enrol", act: makeToken },
    { name: "webhook", path: webhook },
    { name: "model", path: "/inventory/model?name=llama3.1%3A8b" },
    { name: "employee", path: "/employees/tomas.berg" },
    { name: "policy-tried", path: "/policy", act: tryPolicy },
    { name: "switching", path: "/sign-in?switch" },
    { name: "approvals-approver", path: "/approvals", as: responder },
    { name: "no-match-incidents", path: "/incidents?q=matches-nothing" },
    { name: "no-match-assets", path: "/assets?q=matches-nothing" },
    { name: "failure-404", path: "/assets/nothing" },
    { name: "failure-400", path: "/incidents?risk=none" },
    { name: "failure-403", path: webhook, as: viewer },
    { name: "failure-roleless", path: "/", as: roleless },
    { name: "failure-503", path: "/assets", as: away },
    { name: "failure-stale-form", path: asset, act: sendStale },
    ...["", "incidents", "assets", "inventory", "employees", "custody", "report", "approvals"].map(
      (name) => ({ name: `empty-${name || "overview"}`, path: `/${name}`, as: empty }),
    ),
    ...["approvals", "integrations", "settings", "policy", "enrol"].map((name) => ({
      name: `viewer-${name}`,
      path: `/${name}`,
      as: viewer,
    })),
    { name: "viewer-asset", path: asset, as: viewer },
  ];
  return pages.flatMap((page) =>
    Object.entries(LOOKS).map(([look, how]) => ({
      ...page,
      ...how,
      name: `${page.name}-${look}`,
      full: true,
    })),
  );
}

async function tryPolicy(page: Page): Promise<void> {
  await page.locator("#approvedEngines").fill("ollama\nlm-studio");
  await page.locator("#bannedModels").fill("deepseek*");
  await page.getByRole("button", { name: "Dry run" }).first().click();
  await page.waitForSelector("#dry-run");
}

/**
 * Brings a separate host to each outcome of an isolation, for the tour only. Returns the paths of the hosts,
 * keyed by outcome.
 */
async function outcomesOf(edge: Edge, session: string, hosts: readonly Host[]): Promise<Map<string, string>> {
  await setFourEyes(edge.deps, session, false);
  const paths = new Map<string, string>();
  for (const [index, outcome] of OUTCOMES.entries()) {
    const { assetId } = hosts[index + 2]!;
    await containTo(edge.deps, session, assetId, outcome);
    paths.set(outcome, `/assets/${assetId}`);
  }
  return paths;
}

async function shoot(
  browser: Browser,
  origin: string,
  session: string,
  shot: Shot,
  folder: string,
): Promise<void> {
  const { name, path, scheme = "light", width = 1360, height = 900, full = false, act, as = session } = shot;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    deviceScaleFactor: width < 600 ? 2 : 1,
    locale: "en-GB",
    timezoneId: "Europe/Stockholm",
  });
  await context.addCookies([{ name: "__session", value: as, url: origin }]);
  const page = await context.newPage();
  await page.goto(origin + path);
  await page.waitForTimeout(400);
  await act?.(page);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: full });
  await context.close();
}

if (import.meta.main) {
  const executable = chromiumPath();
  if (!executable) {
    console.error(`needs ${lacking.join(", ")}`);
    process.exit(1);
  }
  const isTour = process.argv.includes("--tour");
  const named = process.argv.slice(2).find((argument) => !argument.startsWith("--"));
  if (isTour && named === undefined) throw new Error("Name a folder for the screenshots of the tour.");
  const folder = resolve(named ?? `${import.meta.dir}/../../docs/screenshots`);
  mkdirSync(folder, { recursive: true });
  const edge = await startEdge(
    { LZ_AGENT_DOWNLOAD_URL: "https://downloads.northwind.example/lz-agent" },
    withOneAway,
  );
  const seededAtMs = Date.now();
  const { hosts, focus } = company(TENANT, seededAtMs);
  await putHosts(edge.deps, hosts);
  await putItems(edge.deps, fleetHours(TENANT, Date.now(), hosts.length));
  const session = await edge.session();
  await contain(edge.deps, hosts, session);
  const webhookId = await furnishWebhook(edge.deps, session, Date.now());
  const other = await edge.session({ userId: "jonas.weiss", sessionId: "sess_2mXk92" });
  await requestIsolations(edge.deps, other, [focus.assetId]);
  const contained = hosts.find((host) => host.hostname === "fin-lt-0233")!;
  const browser = await launch(executable);
  const asset = `/assets/${focus.assetId}`;
  const shots: Shot[] = [
    { name: "overview-light", path: "/", full: true },
    { name: "overview-dark", path: "/", scheme: "dark", full: true },
    { name: "incidents-light", path: "/incidents", full: true },
    {
      name: "incident-dark",
      path: `/incidents/${focus.assetId}.exposed-engine.ollama`,
      scheme: "dark",
      full: true,
    },
    { name: "asset-light", path: asset, height: 1320 },
    { name: "containment-light", path: `/assets/${contained.assetId}`, full: true },
    { name: "inventory-light", path: "/inventory", full: true },
    { name: "report-light", path: "/report", full: true },
    { name: "policy-light", path: "/policy", full: true },
    { name: "policy-tried-light", path: "/policy", height: 1000, act: tryPolicy },
    { name: "approvals-light", path: "/approvals", height: 640 },
    { name: "webhook-dark", path: `/integrations/${webhookId}`, scheme: "dark", full: true },
    { name: "integrations-light", path: "/integrations", full: true },
    { name: "model-light", path: "/inventory/model?name=llama3.1%3A8b", height: 800 },
    { name: "approvals-phone", path: "/approvals", width: 360, height: 780, scheme: "dark" },
    { name: "settings-dark", path: "/settings", scheme: "dark", full: true },
    { name: "report-phone", path: "/report", width: 360, height: 780 },
    { name: "incidents-phone", path: "/incidents", width: 360, height: 780, scheme: "dark" },
    { name: "custody-light", path: "/custody", full: true },
    { name: "enrol-light", path: "/enrol", full: true, act: makeToken },
    { name: "overview-phone", path: "/", width: 360, height: 780 },
    {
      name: "trend-phone",
      path: "/",
      width: 360,
      height: 780,
      scheme: "dark",
      act: (page) => page.locator("#trend").evaluate((trend) => trend.scrollIntoView()),
    },
    { name: "asset-phone", path: asset, width: 360, height: 780, scheme: "dark" },
  ];
  const tour = isTour
    ? await tourOf(
        edge,
        [asset, `/assets/${contained.assetId}`, `/integrations/${webhookId}`],
        await outcomesOf(edge, session, hosts),
      )
    : shots;
  for (const shot of tour) {
    await reportAgain(edge.deps, hosts, seededAtMs, Date.now());
    await shoot(browser, edge.origin, session, shot, folder);
  }
  await browser.close();
  await edge.stop();
  console.log(`${tour.length} screenshots written to ${folder}`);
}
