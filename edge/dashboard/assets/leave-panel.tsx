import { z } from "zod";
import { assetId } from "../../../shared/ids.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import type { Deps } from "../../deps.ts";
import { ChangeForm, type Hidden, hiddenFor } from "../components/change-form.tsx";
import {
  JUSTIFICATION_CHARACTERS_MAX,
  JUSTIFICATION_CHARACTERS_MIN,
  releaseForm,
} from "../routing/parse-form.ts";

const WAYS = ["expire", "revoke", "merge"] as const;
export type Way = (typeof WAYS)[number];

const LABELS: Readonly<Record<Way, [name: string, effect: string]>> = {
  expire: [
    "Take it off the active list",
    "Nothing is deleted. It returns by itself with its next heartbeat.",
  ],
  revoke: [
    "Revoke it for good",
    "Its device key never reports again. There is no way back: the host would enrol as a new asset.",
  ],
  merge: [
    "Merge it into the asset that took its place",
    "For a host that was re-imaged and enrolled again. This asset is revoked, the two link to each other, and its open incidents are closed.",
  ],
};

export const leaveForm = releaseForm
  .extend({
    how: z.enum(WAYS),
    into: z.union([z.literal(""), assetId]).optional(),
    evenIfActive: z.literal("yes").optional(),
  })
  .refine(({ how, into }) => how !== "merge" || (into !== undefined && into !== ""), { path: ["into"] });

export const mayManageAssets = (admin: Admin): boolean => may(admin, "manage-assets");

/** What was typed into a form that was refused, and why. */
export type LeaveDraft = { fields: Readonly<Record<string, string>>; wrong: readonly string[] };

/** Hidden fields of the form; undefined for people who may not use it. `version`: number of the asset's newest custody record. */
export async function leaveHidden(
  admin: Admin,
  { assetId, supersededBy }: AssetView,
  version: number,
  deps: Deps,
): Promise<Hidden | undefined> {
  if (!mayManageAssets(admin) || !deps.controlKey || supersededBy !== undefined) return undefined;
  return hiddenFor(admin, ["leave", assetId, version], deps);
}

function waysOf({ status, containment, lifecycle, revokedAt }: AssetView): Way[] {
  const isContained = status === "ISOLATED" || containment.state !== "active";
  return WAYS.filter((way) => {
    if (way === "revoke") return revokedAt === undefined;
    return !isContained && (way === "merge" || lifecycle.reason !== "removed");
  });
}

const WRONG: Readonly<Record<string, string>> = {
  justification: `Give a reason of ${JUSTIFICATION_CHARACTERS_MIN} to ${JUSTIFICATION_CHARACTERS_MAX} characters.`,
  into: "Give the id of the asset that takes its place: 26 characters, as its page shows it.",
  confirm: "Confirm that you mean this host.",
};

/** What an administrator can decide about a host that leaves the fleet. */
export const LeavePanel = ({
  asset,
  hidden,
  draft,
}: {
  asset: AssetView;
  hidden: Hidden;
  draft: LeaveDraft | undefined;
}) => {
  const ways = waysOf(asset);
  if (ways.length === 0) return null;
  const fields = draft?.fields ?? {};
  return (
    <section id="leave" class="card" data-live aria-labelledby="leave-title">
      <details open={draft !== undefined}>
        <summary>
          <h2 id="leave-title">This host leaves</h2>
        </summary>
        <ChangeForm look="act" name="leave" action={`/assets/${asset.assetId}/leave`} hidden={hidden}>
          {draft && draft.wrong.length > 0 && (
            <div class="strip critical" role="alert">
              <ul>
                {draft.wrong.map((field) => (
                  <li>{WRONG[field] ?? "The form was not complete: send it again from this page."}</li>
                ))}
              </ul>
            </div>
          )}
          <fieldset class="modes">
            <legend>What becomes of it</legend>
            {ways.map((way, index) => (
              <label>
                <input
                  type="radio"
                  name="how"
                  value={way}
                  required
                  checked={fields.how === undefined ? index === 0 : fields.how === way}
                />
                <span>
                  <strong>{LABELS[way][0]}</strong>
                  <span class="muted small">{LABELS[way][1]}</span>
                </span>
              </label>
            ))}
          </fieldset>
          {ways.includes("merge") && (
            <>
              <div class="field">
                <label for="into">Merge into the asset with the id</label>
                <input
                  id="into"
                  name="into"
                  type="text"
                  maxlength={26}
                  value={fields.into ?? ""}
                  autocomplete="off"
                />
              </div>
              <label class="confirm">
                <input
                  type="checkbox"
                  name="evenIfActive"
                  value="yes"
                  checked={fields.evenIfActive === "yes"}
                />
                <span>Merge although it reported within the last 10 minutes</span>
              </label>
            </>
          )}
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
              {fields.justification ?? ""}
            </textarea>
            <p class="muted small">Required. It goes into the custody record.</p>
          </div>
          <label class="confirm">
            <input type="checkbox" name="confirm" value="yes" required />
            <span>
              I mean <bdi>{asset.hostname}</bdi>
            </span>
          </label>
          <button class="danger" type="submit">
            Carry it out
          </button>
        </ChangeForm>
      </details>
    </section>
  );
};
