import type { Context, Hono } from "hono";
import { z } from "zod";
import { canonicalJson } from "../../../shared/encoding/canonical-json.ts";
import {
  changePolicy,
  changeSettings,
  readPolicy,
  readSettings,
} from "../../control/tenant/update-tenant.ts";
import type { Deps } from "../../deps.ts";
import type { Env } from "../../request-env.ts";
import type { Notice } from "../components/notice.tsx";
import type { Fleets } from "../overview/fleet-cache.ts";
import { DRY_RUN_DAYS, dryRun } from "../policy/dry-run.ts";
import {
  POLICY_FORM,
  policyFromForm,
  policyFromJson,
  settingsFromForm,
  versionedForm,
} from "../policy/policy-form.ts";
import { mayConfigure, policyPage } from "../policy/policy-page.tsx";
import { settingsPage } from "../settings/settings-page.tsx";
import { askerOf, type Fields, postRoute } from "./post-route.ts";
import { sendFailure, sendPage } from "./render-response.ts";
import { backgroundOf, numbersFor } from "./wait-until.ts";

/** Policy and settings: saved by form, and a policy tried on what was recorded before it is. */
export function configureRoutes(app: Hono<Env>, deps: Deps, fleets: Fleets): void {
  const post = postRoute(app, deps);
  const right = mayConfigure;
  const limits = POLICY_FORM;
  post("/policy", { right, limits, form: versionedForm, answer: changePolicyByForm(fleets) });
  // Nothing is written, so a form without a version can be tried too.
  post("/policy/try", { right, limits, form: z.looseObject({}), answer: tryPolicy(fleets) });
  post("/settings", { right, form: versionedForm, answer: changeSettingsByForm });
  // Who reloads the answer to a trial by its address finds the page the form was on.
  app.get("/policy/try", (c) => c.redirect("/policy", 302));
}

const OVERTAKEN: Notice = {
  tone: "warning",
  words:
    "Nothing was changed: somebody changed it since you read it. What you typed is still here. Open the page in another window to see theirs; saving again here puts yours in its place.",
};
const isOvertaken = (code: string): boolean => code === "admin.outdated" || code === "admin.conflict";
const isSame = (a: object, b: object): boolean => canonicalJson(a) === canonicalJson(b);

/** The policy that the form asks for, beside the one that is. */
async function readWanted(c: Context<Env>, fields: Fields, deps: Deps) {
  const current = await readPolicy(deps, c.var.admin.tenantId);
  const read =
    fields.how === "json" ? policyFromJson(fields.policy ?? "") : policyFromForm(fields, current.value);
  return { current, read };
}

type Versioned = { fields: Fields; form: z.infer<typeof versionedForm> };

const changePolicyByForm =
  (fleets: Fleets) =>
  async (c: Context<Env>, { fields, form }: Versioned, deps: Deps): Promise<Response> => {
    const { admin } = c.var;
    const numbersOf = numbersFor(c, fleets);
    const { current, read } = await readWanted(c, fields, deps);
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
    if (!isOvertaken(changed.code)) return sendFailure(c, changed, deps);
    return sendPage(
      c,
      await policyPage(admin, deps, numbersOf, { notice: OVERTAKEN, typed: { fields, wrong: [] } }),
      412,
    );
  };

/** Writes nothing: what was typed stays in the form, and above it stands what it would have found. */
const tryPolicy =
  (fleets: Fleets) =>
  async (c: Context<Env>, { fields }: { fields: Fields }, deps: Deps): Promise<Response> => {
    const { admin } = c.var;
    const numbersOf = numbersFor(c, fleets);
    const { read } = await readWanted(c, fields, deps);
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
  deps: Deps,
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
  if (!isOvertaken(changed.code)) return sendFailure(c, changed, deps);
  const typed = { fields, wrong: [] };
  return sendPage(c, await settingsPage(admin, deps, { notice: OVERTAKEN, typed }), 412);
};
