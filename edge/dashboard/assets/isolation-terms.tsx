import { DIRECTIVE_LIFETIME_SECONDS } from "../../../shared/wire/directive.ts";
import type { Mode, StopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import type { Settings } from "../../control/tenant/settings-schema.ts";

/** Settings that apply to every isolation. */
export type IsolationSettings = Pick<Settings, "stopEnginesBy" | "isolationNotice">;

export const MODE_NAMES: Record<Mode, string> = {
  observe: "Observe",
  "stop-engines": "Stop engines",
  network: "Network",
};

const STOPPING: Record<StopEnginesBy, string> = {
  suspend:
    "The agent suspends the inference processes and blocks their ports. Everything else keeps running. A release resumes the processes.",
  terminate:
    "The agent terminates the inference processes whenever they start, and blocks their ports. Everything else keeps running. Data in their memory is lost, and a release does not start them again.",
};

const effectOf = (mode: Mode, by: StopEnginesBy): string =>
  ({
    observe:
      "Nothing changes on the host. The decision is recorded and the agent acknowledges it. Use this mode to rehearse an isolation.",
    "stop-engines": STOPPING[by],
    network:
      "The host can reach only itself, DNS and the control plane. The user of the host loses all other network access.",
  })[mode];

/**
 * Describes what an isolation mode does to the host. The isolation form and the approvals page show the same
 * text.
 */
export const Effect = ({ mode, by }: { mode: Mode; by: StopEnginesBy }) => (
  <span class="effect">{effectOf(mode, by)}</span>
);

const DIRECTIVE_DAYS = DIRECTIVE_LIFETIME_SECONDS / 86_400;

/**
 * Shows the affected employee, the message for the user of the host, and the deadline. The isolation form and
 * the approvals page show the same text.
 */
export const IsolationTerms = (terms: { employeeId: string | undefined; settings: IsolationSettings }) => {
  const { employeeId, settings } = terms;
  return (
    <ul class="terms">
      {employeeId !== undefined && (
        <li>
          Affected employee: <bdi>{employeeId}</bdi>.
        </li>
      )}
      <li>
        Message on the host (not in mode observe):{" "}
        {settings.isolationNotice === "" ? (
          "the agent's default text, which tells users to contact the security team"
        ) : (
          <q>
            <bdi>{settings.isolationNotice}</bdi>
          </q>
        )}
        . The message also says what was restricted.
      </li>
      <li>
        {`A silent host is isolated only if it reports again within ${DIRECTIVE_DAYS} days. Treat the host as unrestricted until the agent has proven the isolation.`}
      </li>
    </ul>
  );
};
