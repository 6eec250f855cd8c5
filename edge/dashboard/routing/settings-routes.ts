import type { Context, Hono } from "hono";
import { z } from "zod";
import { canonicalJson } from "../../../shared/encoding/canonical-json.ts";
import {
  changePolicy,
  changeSettings,
  readPolicy,
  readSettings,
} from "../../control/tenant/update-tenant.ts";
import type { Env } from "../../request-env.ts";
import { versionedForm } from "../components/form-values.ts";
import type { Notice } from "../components/notice.tsx";
import type { DashboardDeps } from "../deps.ts";
import type { Fleets } from "../overview/fleet-cache.ts";
import { DRY_RUN_DAYS, dryRun } from "../policy/dry-run.ts";
import { POLICY_FORM, policyFromForm, policyFromJson } from "../policy/policy-form.ts";
import { mayConfigure, policyPage } from "../policy/policy-page.tsx";
import { settingsFromForm } from "../settings/settings-form.ts";
import { settingsPage } from "../settings/settings-page.tsx";
import { backgroundOf, numbersFor } from "./background-work.ts";
import { askerOf, type Fields, postRoute } from "./post-route.ts";
import { sendFailure, sendPage } from "./render-response.ts";

/** Adds the form routes for policy and settings, and for the dry run of a policy. */
export function settingsRoutes(app: Hono<Env>, deps: DashboardDeps, fleets: Fleets): void {
  const post = postRoute(app, deps);
  const right = mayConfigure;
  const limits = POLICY_FORM;
  post("/policy", { right, limits, form: versionedForm, handle: changePolicyByForm(fleets) });
  // A dry run writes nothing, so its form needs no version.
  post("/policy/try", { right, limits, form: z.looseObject({}), handle: runDryRun(fleets) });
  post("/settings", { right, form: versionedForm, handle: changeSettingsByForm });
  // Forms are posted to this address. If the user reloads the response, the browser is redirected to the page
  // of the form.
  app.get("/policy/try", (c) => c.redirect("/policy", 302));
}

/** Notice shown after an optimistic-lock conflict. */
const OUTDATED: Notice = {
  tone: "warning",
  words:
    "Nothing was saved, because another user saved a change after you opened this page. Your input is still here. Open the page in another window to compare; if you save again, your version replaces theirs.",
};
const isOutdated = (code: string): boolean => code === "admin.outdated" || code === "admin.conflict";
const isSame = (a: object, b: object): boolean => canonicalJson(a) === canonicalJson(b);

/** Reads the submitted policy and the current policy. */
async function readSubmitted(c: Context<Env>, fields: Fields, deps: DashboardDeps) {
  const current = await readPolicy(deps, c.var.admin.tenantId);
  const read =
    fields.how === "json" ? policyFromJson(fields.policy ?? "") : policyFromForm(fields, current.value);
  return { current, read };
}

type Versioned = { fields: Fields; form: z.infer<typeof versionedForm> };

const changePolicyByForm =
  (fleets: Fleets) =>
  async (c: Context<Env>, { fields, form }: Versioned, deps: DashboardDeps): Promise<Response> => {
    const { admin } = c.var;
    const numbersOf = numbersFor(c, fleets);
    const { current, read } = await readSubmitted(c, fields, deps);
    if (!read.ok)
      return sendPage(
        c,
        await policyPage(admin, deps, numbersOf, { typed: { fields, wrong: read.wrong } }),
        400,
      );
    const { version, key } = form;
    if (version === current.version && isSame(read.value, current.value))
      return c.redirect("/policy?done=same", 303);
    const changed = await changePolicy(askerOf(c, key, deps), { version, value: read.value }, deps);
    if (changed.ok) return c.redirect("/policy?done=policy", 303);
    if (!isOutdated(changed.code)) return sendFailure(c, changed, deps);
    return sendPage(
      c,
      await policyPage(admin, deps, numbersOf, { notice: OUTDATED, typed: { fields, wrong: [] } }),
      412,
    );
  };

/**
 * Evaluates the submitted policy on recorded states, and shows the findings above the form. Writes nothing to
 * the table.
 */
const runDryRun =
  (fleets: Fleets) =>
  async (c: Context<Env>, { fields }: { fields: Fields }, deps: DashboardDeps): Promise<Response> => {
    const { admin } = c.var;
    const numbersOf = numbersFor(c, fleets);
    const { read } = await readSubmitted(c, fields, deps);
    if (!read.ok)
      return sendPage(
        c,
        await policyPage(admin, deps, numbersOf, { typed: { fields, wrong: read.wrong } }),
        400,
      );
    const days = DRY_RUN_DAYS.find((each) => String(each) === fields.days) ?? 7;
    const { rows } = await fleets.of(admin.tenantId, backgroundOf(c));
    const tried = await dryRun(deps, admin.tenantId, rows, { policy: read.value, days });
    return sendPage(c, await policyPage(admin, deps, numbersOf, { tried, typed: { fields, wrong: [] } }));
  };

const changeSettingsByForm = async (
  c: Context<Env>,
  { fields, form }: Versioned,
  deps: DashboardDeps,
): Promise<Response> => {
  const { admin } = c.var;
  const current = await readSettings(deps, admin.tenantId);
  const read = settingsFromForm(fields, current.value);
  if (!read.ok)
    return sendPage(c, await settingsPage(admin, deps, { typed: { fields, wrong: read.wrong } }), 400);
  const { version, key } = form;
  if (version === current.version && isSame(read.value, current.value))
    return c.redirect("/settings?done=same", 303);
  const changed = await changeSettings(askerOf(c, key, deps), { version, value: read.value }, deps);
  if (changed.ok) return c.redirect("/settings?done=settings", 303);
  if (!isOutdated(changed.code)) return sendFailure(c, changed, deps);
  const typed = { fields, wrong: [] };
  return sendPage(c, await settingsPage(admin, deps, { notice: OUTDATED, typed }), 412);
};
