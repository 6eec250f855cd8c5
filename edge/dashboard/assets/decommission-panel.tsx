import { z } from "zod";
import { assetId } from "../../../shared/ids.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { JUSTIFICATION_CHARACTERS_MAX, JUSTIFICATION_CHARACTERS_MIN } from "../../control/justification.ts";
import { ChangeForm, type Hidden, hiddenFor } from "../components/change-form.tsx";
import type { DashboardDeps } from "../deps.ts";
import { releaseForm } from "../routing/parse-form.ts";

const METHODS = ["expire", "revoke", "merge"] as const;
export type Method = (typeof METHODS)[number];

const LABELS: Readonly<Record<Method, [name: string, effect: string]>> = {
  expire: [
    "Remove from the active list",
    "Nothing is deleted. The host returns to the list with its next heartbeat.",
  ],
  revoke: [
    "Revoke the device key",
    "The agent on this host cannot report any more. You cannot undo this: the host would have to enrol again and get a new id.",
  ],
  merge: [
    "Merge into another host",
    "For a machine that was re-imaged and enrolled again. The device key of this host is revoked, its open incidents are closed, and both hosts link to each other.",
  ],
};

export const decommissionForm = releaseForm
  .extend({
    how: z.enum(METHODS),
    into: z.union([z.literal(""), assetId]).optional(),
    evenIfActive: z.literal("yes").optional(),
  })
  .refine(({ how, into }) => how !== "merge" || (into !== undefined && into !== ""), { path: ["into"] });

export const mayManageAssets = (admin: Admin): boolean => may(admin, "manage-assets");

/** Values that the user entered in a rejected form. `wrong`: names of the invalid fields. */
export type DecommissionDraft = { fields: Readonly<Record<string, string>>; wrong: readonly string[] };

/**
 * Hidden fields of the form. `version`: number of the host's newest custody record. Undefined if the user is
 * not allowed to use the form.
 */
export async function decommissionHidden(
  admin: Admin,
  { assetId, supersededBy }: AssetView,
  version: number,
  deps: DashboardDeps,
): Promise<Hidden | undefined> {
  if (!mayManageAssets(admin) || !deps.controlKey || supersededBy !== undefined) return undefined;
  return hiddenFor(admin, ["leave", assetId, version], deps);
}

/**
 * Returns the methods that are available for this host. A contained host can only be revoked. A removed host
 * cannot be removed again.
 */
function methodsOf({ status, containment, lifecycle, revokedAt }: AssetView): Method[] {
  const isContained = status === "ISOLATED" || containment.state !== "active";
  return METHODS.filter((method) => {
    if (method === "revoke") return revokedAt === undefined;
    return !isContained && (method === "merge" || lifecycle.reason !== "removed");
  });
}

const PROBLEMS: Readonly<Record<string, string>> = {
  justification: `Enter a reason of ${JUSTIFICATION_CHARACTERS_MIN} to ${JUSTIFICATION_CHARACTERS_MAX} characters.`,
  into: "Enter the id of the host to merge into. It has 26 characters, and the page of that host shows it.",
  confirm: "Select the checkbox to confirm the host.",
};

const Problems = ({ wrong }: { wrong: readonly string[] }) =>
  wrong.length === 0 ? null : (
    <div class="strip critical" role="alert">
      <ul>
        {wrong.map((field) => (
          <li>{PROBLEMS[field] ?? "The form was incomplete. Fill it in on this page and send it again."}</li>
        ))}
      </ul>
    </div>
  );

const MethodChoice = ({ methods, chosen }: { methods: readonly Method[]; chosen: string | undefined }) => (
  <fieldset class="modes">
    <legend>Action</legend>
    {methods.map((method, index) => (
      <label>
        <input
          type="radio"
          name="how"
          value={method}
          required
          checked={chosen === undefined ? index === 0 : chosen === method}
        />
        <span>
          <strong>{LABELS[method][0]}</strong>
          <span class="muted small">{LABELS[method][1]}</span>
        </span>
      </label>
    ))}
  </fieldset>
);

const MergeFields = ({ fields }: { fields: DecommissionDraft["fields"] }) => (
  <>
    <div class="field">
      <label for="into">Id of the host to merge into</label>
      <input id="into" name="into" type="text" maxlength={26} value={fields.into ?? ""} autocomplete="off" />
    </div>
    <label class="confirm">
      <input type="checkbox" name="evenIfActive" value="yes" checked={fields.evenIfActive === "yes"} />
      <span>Merge even if this host reported within the last 10 minutes</span>
    </label>
  </>
);

const ReasonField = ({ value }: { value: string }) => (
  <div class="field">
    <label for="leave-justification">Reason</label>
    <textarea
      id="leave-justification"
      name="justification"
      rows={2}
      required
      minlength={JUSTIFICATION_CHARACTERS_MIN}
      maxlength={JUSTIFICATION_CHARACTERS_MAX}
    >
      {value}
    </textarea>
    <p class="muted small">Required. It is stored in the custody record.</p>
  </div>
);

/** Lets administrators remove a host from the active list, revoke its device key, or merge it into another host. */
export const DecommissionPanel = (panel: {
  asset: AssetView;
  hidden: Hidden;
  draft: DecommissionDraft | undefined;
}) => {
  const { asset, hidden, draft } = panel;
  const methods = methodsOf(asset);
  if (methods.length === 0) return null;
  const fields = draft?.fields ?? {};
  return (
    <section id="leave" class="card" data-live aria-labelledby="leave-title">
      <details open={draft !== undefined}>
        <summary>
          <h2 id="leave-title">Remove, revoke or merge this host</h2>
        </summary>
        <ChangeForm look="act" name="leave" action={`/assets/${asset.assetId}/leave`} hidden={hidden}>
          <Problems wrong={draft?.wrong ?? []} />
          <MethodChoice methods={methods} chosen={fields.how} />
          {methods.includes("merge") && <MergeFields fields={fields} />}
          <ReasonField value={fields.justification ?? ""} />
          <label class="confirm">
            <input type="checkbox" name="confirm" value="yes" required />
            <span>
              I confirm this for <bdi>{asset.hostname}</bdi>
            </span>
          </label>
          <button class="danger" type="submit">
            Apply
          </button>
        </ChangeForm>
      </details>
    </section>
  );
};
