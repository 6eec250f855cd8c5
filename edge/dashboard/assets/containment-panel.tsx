import { type ContainmentState, UNSIGNED } from "../../../shared/containment/containment-state.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import { ContainmentBadge } from "../components/badges.tsx";
import { ChangeForm, type Hidden } from "../components/change-form.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Ago, Moment } from "../components/time.tsx";
import {
  type Draft,
  JUSTIFICATION_CHARACTERS_MAX,
  JUSTIFICATION_CHARACTERS_MIN,
} from "../routing/parse-form.ts";
import { containmentSteps, type Step, type StepStatus } from "./containment-steps.ts";
import { Effect, type IsolationSettings, IsolationTerms, MODE_NAMES } from "./isolation-terms.tsx";

/** What each state means for the host, and no more than is proven. */
const MEANING: Record<ContainmentState, string> = {
  active: "Nothing restricts this host.",
  pending: "Isolation was requested. It is not proven: treat the host as unrestricted.",
  acknowledged:
    "The agent has acknowledged the isolation in mode observe. This mode changes nothing on the host: engines and network go on as before.",
  enforced:
    "The agent has proven the isolation: the control plane is reachable and a forbidden address is blocked.",
  failed: "The agent tried and failed. Treat the host as unrestricted.",
  expired:
    "The directive expired before the agent obeyed it. Treat the host as unrestricted, and release it before you try again.",
  releasing: "Release was requested. It is not proven: restrictions may still be in force.",
  "release-failed": "The agent tried to release and failed: restrictions may still be in force.",
  "released-offline":
    "Somebody at the host freed it with a one-time release code. Treat it as unrestricted; release it to close the isolation.",
};

export type PanelForms = {
  hidden: Hidden;
  draft?: Draft | undefined;
  /** An administrator may go past what the settings lay in the way of an isolation. */
  mayBreakGlass?: boolean;
  /** Host names of the machines that use the identity in turns. */
  sharing?: readonly string[];
  /** What the settings say now. The form says it back: under other settings nothing is changed. */
  settings?: IsolationSettings;
};

/**
 * What the form is for. A release that failed, or whose host was put back to its isolation, is asked for again: the host
 * may be shut although nobody wishes it.
 */
export function nextChange({ status, containment }: AssetView): "isolate" | "release" {
  const { state, reason } = containment;
  const isStuck =
    state === "release-failed" || (state === "releasing" && reason !== undefined && reason !== UNSIGNED);
  return status === "ISOLATED" || isStuck ? "release" : "isolate";
}

/** The wish, the proof, and the form for the next change: the form only for those who may send it. */
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
          The host is silent. What stands here is the last it said, not what is so now.
        </p>
      )}
      {steps && <Steps steps={steps} now={now} />}
      {asset.containment.proof && asset.containment.proof.generation < asset.generation && (
        <p class="muted small">
          The newest report is on generation {String(asset.containment.proof.generation)}; it says nothing of
          generation {String(asset.generation)}.
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
      <Wrong draft={draft} />
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
        Isolate <bdi>{asset.hostname}</bdi>, which <bdi>{asset.employeeId}</bdi> works on
      </Confirm>
      <EveryCopy forms={forms} />
      {forms.mayBreakGlass && (
        <label class="confirm">
          <input type="checkbox" name="breakGlass" value="yes" />
          <span>
            Break the glass: at once, past the second person and the number an hour. The record says so.
          </span>
        </label>
      )}
      <button class="danger" type="submit">
        Isolate
      </button>
      <p class="muted small">
        Writes one custody record that nobody can edit afterwards. Release works the same way.
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
    <Wrong draft={forms.draft} />
    <p class="muted small">
      The agent takes back what mode {asset.containment.mode ?? "observe"} did, and proves it with its next
      heartbeat.
      {asset.containment.stopEnginesBy === "terminate" &&
        " Programs that it terminated do not come back by themselves: whoever works on the host starts them again."}
    </p>
    <Justification draft={forms.draft} />
    <Confirm draft={forms.draft}>
      Release <bdi>{asset.hostname}</bdi>
    </Confirm>
    <EveryCopy forms={forms} />
    <button class="primary" type="submit">
      Release
    </button>
  </ChangeForm>
);

const PROBLEMS: Record<string, string> = {
  justification: `Give a justification of ${JUSTIFICATION_CHARACTERS_MIN} to ${JUSTIFICATION_CHARACTERS_MAX} characters, without control characters.`,
  confirm: "Confirm that you mean this host.",
  mode: "Choose one of the modes.",
};

const Wrong = ({ draft }: { draft: Draft | undefined }) =>
  draft ? (
    <div class="strip critical" role="alert" id="wrong">
      <div>
        <p>
          <strong>Nothing was changed.</strong>
        </p>
        <ul>
          {draft.wrong.map((field) => (
            <li>
              {PROBLEMS[field] ?? "The form was not complete: send it again from this page."}
              {field === "justification" &&
                draft.justification.length > JUSTIFICATION_CHARACTERS_MAX &&
                ` This one has ${draft.justification.length.toLocaleString("en")}.`}
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
      Required. It goes into the custody record with your name and address.
    </p>
  </div>
);

/** Asked when several machines would obey, because nothing tells them apart. */
const EveryCopy = ({ forms: { sharing: hosts = [] } }: { forms: PanelForms }) => {
  if (hosts.length === 0) return null;
  return (
    <div class="strip critical">
      <Icon name="failed" />
      <div>
        <p>
          {String(hosts.length)} machines use this identity (<bdi>{hosts.slice(0, 3).join(", ")}</bdi>), and
          each of them obeys. To change one of them, revoke this asset and enrol each machine again.
        </p>
        <label class="confirm">
          <input type="checkbox" name="everyCopy" value="yes" required />
          <span>Change every machine that uses this identity.</span>
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
