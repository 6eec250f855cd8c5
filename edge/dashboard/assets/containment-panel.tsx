import { type ContainmentState, UNSIGNED } from "../../../shared/containment/containment-state.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import { JUSTIFICATION_CHARACTERS_MAX, JUSTIFICATION_CHARACTERS_MIN } from "../../control/justification.ts";
import { ContainmentBadge } from "../components/badges.tsx";
import { ChangeForm, type Hidden } from "../components/change-form.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Ago, Moment } from "../components/time.tsx";
import type { Draft } from "../routing/parse-form.ts";
import { containmentSteps, type Step, type StepStatus } from "./containment-steps.ts";
import { Effect, type IsolationSettings, IsolationTerms, MODE_NAMES } from "./isolation-terms.tsx";

/** Meaning of each containment state for the host. The texts claim only what the agent has proven. */
const MEANING: Record<ContainmentState, string> = {
  active: "Nothing restricts this host.",
  pending: "Isolation was requested but is not proven yet. Treat the host as unrestricted.",
  acknowledged:
    "The agent has acknowledged the isolation in mode observe. This mode changes nothing on the host: engines and network keep working.",
  enforced:
    "The agent has proven the isolation: the host can reach the control plane, and other addresses are blocked.",
  failed: "The agent could not isolate this host. Treat the host as unrestricted. The reason is below.",
  expired:
    "The directive expired before the agent applied it. Treat the host as unrestricted. To try again, first release the host.",
  releasing: "Release was requested but is not proven yet. Restrictions may still be in force.",
  "release-failed":
    "The agent could not release this host, so restrictions may still be in force. The reason is below.",
  "released-offline":
    "A user at the host released it with a one-time code. Treat the host as unrestricted, and release it here to end the isolation.",
};

export type PanelForms = {
  hidden: Hidden;
  draft?: Draft | undefined;
  /** True if the user can skip the second person and the hourly limit (break-glass). */
  mayBreakGlass?: boolean;
  /** Names of the hosts that share this device key. */
  sharing?: readonly string[];
  /**
   * Current settings. The form submits the `stopEnginesBy` value that it showed. The server rejects the form
   * if the setting has changed in the meantime.
   */
  settings?: IsolationSettings;
};

/**
 * Returns the action that the form offers. The form offers a release if the host is isolated. It also offers
 * a release if an earlier release failed or the host was reset to its isolation, because the host may still
 * be isolated.
 */
export function nextChange({ status, containment }: AssetView): "isolate" | "release" {
  const { state, reason } = containment;
  const isStuck =
    state === "release-failed" || (state === "releasing" && reason !== undefined && reason !== UNSIGNED);
  return status === "ISOLATED" || isStuck ? "release" : "isolate";
}

/**
 * Shows the containment state and its steps. Also shows the form for the next change, if the user is allowed
 * to make this change.
 */
export const ContainmentPanel = (panel: {
  asset: AssetView;
  newest: CustodyView | undefined;
  forms: PanelForms | undefined;
  readOnly: string | undefined;
  now: number;
}) => {
  const { asset, newest, forms, now } = panel;
  const { state, offline } = asset.containment;
  const steps = containmentSteps(asset, newest);
  return (
    <section id="containment" class="card" data-live aria-labelledby="containment-title" data-state={state}>
      <div class="card-head">
        <h2 id="containment-title">Containment</h2>
        <ContainmentBadge state={state} />
      </div>
      <p class="lead">{MEANING[state]}</p>
      {offline && state !== "active" && (
        <p class="strip warning">
          <Icon name="silent" />
          The host has stopped reporting. You see its last report, which may be out of date.
        </p>
      )}
      {steps && <Steps steps={steps} now={now} />}
      {asset.containment.proof && asset.containment.proof.generation < asset.generation && (
        <p class="muted small">
          {`The newest containment report is about generation ${asset.containment.proof.generation}, so it does not prove generation ${asset.generation}.`}
        </p>
      )}
      {forms ? (
        nextChange(asset) === "release" ? (
          <ReleaseForm asset={asset} forms={forms} />
        ) : (
          <IsolateForm asset={asset} forms={forms} />
        )
      ) : (
        <p class="muted small">{panel.readOnly}</p>
      )}
    </section>
  );
};

const STEP: Record<StepStatus, { icon: IconName; words: string }> = {
  done: { icon: "ok", words: "done" },
  waiting: { icon: "pending", words: "waiting" },
  failed: { icon: "failed", words: "failed" },
  "not-reached": { icon: "absent", words: "not reached" },
  "does-not-apply": { icon: "eye", words: "does not apply" },
};

const Steps = ({ steps, now }: { steps: Step[]; now: number }) => (
  <ol class="steps">
    {steps.map((step) => (
      <li data-key={step.name} class={`step ${step.status}`}>
        <Icon name={STEP[step.status].icon} />
        <div>
          <p>
            <strong>{step.name}</strong> <span class="muted">{STEP[step.status].words}</span>
            {step.at && (
              <>
                {" · "}
                <Ago at={step.at} now={now} />
              </>
            )}
          </p>
          {step.facts.map((fact) => (
            <p class="muted small">
              <bdi>{fact}</bdi>
            </p>
          ))}
          {step.until !== undefined && (
            <p class="muted small">
              The directive is valid until <Moment at={step.until} />
            </p>
          )}
        </div>
      </li>
    ))}
  </ol>
);

const MODE_CHOICES = ["observe", "stop-engines", "network"] as const;

const IsolateForm = ({ asset, forms }: { asset: AssetView; forms: PanelForms }) => {
  const { draft, settings = { stopEnginesBy: "suspend", isolationNotice: "" } } = forms;
  return (
    <ChangeForm
      look="act"
      id="isolate"
      action={`/assets/${asset.assetId}/isolate`}
      name={`isolate-${asset.generation}`}
      hidden={{ ...forms.hidden, stopEnginesBy: settings.stopEnginesBy }}
    >
      <h3>Isolate this host</h3>
      <Problems draft={draft} />
      <fieldset class="modes">
        <legend>Mode</legend>
        {MODE_CHOICES.map((mode) => (
          <label>
            <input
              type="radio"
              name="mode"
              value={mode}
              required
              checked={(draft?.mode ?? "observe") === mode}
              aria-describedby={`mode-${mode}`}
            />
            <span>
              <strong>{MODE_NAMES[mode]}</strong>
              <span class="muted small" id={`mode-${mode}`}>
                <Effect mode={mode} by={settings.stopEnginesBy} />
              </span>
            </span>
          </label>
        ))}
      </fieldset>
      <IsolationTerms employeeId={asset.employeeId} settings={settings} />
      <Justification draft={draft} />
      <Confirm draft={draft}>
        Isolate <bdi>{asset.hostname}</bdi>, used by <bdi>{asset.employeeId}</bdi>
      </Confirm>
      <SharedIdentity forms={forms} />
      {forms.mayBreakGlass && (
        <label class="confirm">
          <input type="checkbox" name="breakGlass" value="yes" />
          <span>
            Emergency override (break-glass): isolate immediately, without a second person and beyond the
            hourly limit. The custody record notes the override.
          </span>
        </label>
      )}
      <button class="danger" type="submit">
        Isolate
      </button>
      <p class="muted small">
        This writes one custody record that cannot be edited. You can release the host later on this page.
      </p>
    </ChangeForm>
  );
};

const ReleaseForm = ({ asset, forms }: { asset: AssetView; forms: PanelForms }) => (
  <ChangeForm
    look="act"
    id="release"
    action={`/assets/${asset.assetId}/release`}
    name={`release-${asset.generation}`}
    hidden={forms.hidden}
  >
    <h3>Release this host</h3>
    <Problems draft={forms.draft} />
    <p class="muted small">
      {`The agent removes the restrictions of mode ${asset.containment.mode ?? "observe"} and proves this with its next heartbeat.`}
      {asset.containment.stopEnginesBy === "terminate" &&
        " Terminated programs do not restart automatically. The user of the host has to start them again."}
    </p>
    <Justification draft={forms.draft} />
    <Confirm draft={forms.draft}>
      Release <bdi>{asset.hostname}</bdi>
    </Confirm>
    <SharedIdentity forms={forms} />
    <button class="primary" type="submit">
      Release
    </button>
  </ChangeForm>
);

const MESSAGES: Record<string, string> = {
  justification: `Enter a justification of ${JUSTIFICATION_CHARACTERS_MIN} to ${JUSTIFICATION_CHARACTERS_MAX} characters, without control characters.`,
  confirm: "Select the checkbox to confirm the host.",
  mode: "Choose one of the modes.",
};

const Problems = ({ draft }: { draft: Draft | undefined }) =>
  draft ? (
    <div class="strip critical" role="alert" id="wrong">
      <div>
        <p>
          <strong>Nothing was changed.</strong>
        </p>
        <ul>
          {draft.wrong.map((field) => (
            <li>
              {MESSAGES[field] ?? "The form was incomplete. Fill it in on this page and send it again."}
              {field === "justification" &&
                draft.justification.length > JUSTIFICATION_CHARACTERS_MAX &&
                ` You entered ${draft.justification.length.toLocaleString("en")}.`}
            </li>
          ))}
        </ul>
      </div>
    </div>
  ) : null;

const Justification = ({ draft }: { draft: Draft | undefined }) => (
  <div class="field">
    <label for="justification">Justification</label>
    <textarea
      id="justification"
      name="justification"
      rows={3}
      required
      minlength={JUSTIFICATION_CHARACTERS_MIN}
      maxlength={JUSTIFICATION_CHARACTERS_MAX}
      aria-describedby="justification-note"
      aria-invalid={draft?.wrong.includes("justification") ? "true" : undefined}
    >
      {draft?.justification ?? ""}
    </textarea>
    <p class="muted small" id="justification-note">
      Required. The custody record stores it with your user id and IP address.
    </p>
  </div>
);

/** Asks for confirmation if several machines share the device key, because the directive applies to all of them. */
const SharedIdentity = ({ forms: { sharing: hosts = [] } }: { forms: PanelForms }) => {
  if (hosts.length === 0) return null;
  return (
    <div class="strip critical">
      <Icon name="failed" />
      <div>
        <p>
          {String(hosts.length)} machines share this device key (<bdi>{hosts.slice(0, 3).join(", ")}</bdi>),
          and this change applies to all of them. To change only one, revoke this host and enrol each machine
          again.
        </p>
        <label class="confirm">
          <input type="checkbox" name="everyCopy" value="yes" required />
          <span>Change every machine that shares this device key</span>
        </label>
      </div>
    </div>
  );
};

const Confirm = ({ draft, children }: { draft: Draft | undefined; children: unknown }) => (
  <label class="confirm">
    <input type="checkbox" name="confirm" value="yes" required checked={draft?.confirm ?? false} />
    <span>{children as string}</span>
  </label>
);
