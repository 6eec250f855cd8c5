import { DIRECTIVE_LIFETIME_SECONDS } from "../../../shared/wire/directive.ts";
import type { Mode, StopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import type { Settings } from "../../control/tenant/settings-schema.ts";

/** What the settings say of every isolation. */
export type IsolationSettings = Pick<Settings, "stopEnginesBy" | "isolationNotice">;

export const MODE_NAMES: Record<Mode, string> = {
  observe: "Observe",
  "stop-engines": "Stop engines",
  network: "Network",
};

const STOPPING: Record<StopEnginesBy, string> = {
  suspend:
    "The agent suspends the inference processes and refuses their ports. Other work goes on. A release wakes them.",
  terminate:
    "The agent terminates the inference processes, each time they are started, and refuses their ports. Other work goes on. What they held in memory is lost, and a release does not start them again.",
};

const effectOf = (mode: Mode, by: StopEnginesBy): string =>
  ({
    observe:
      "Nothing on the host changes. The decision is recorded and the agent acknowledges it: a rehearsal.",
    "stop-engines": STOPPING[by],
    network: "The host reaches only itself, DNS and the control plane. Whoever works on it is cut off.",
  })[mode];

/** What a mode does to the host, in the same words for who asks and for who approves. */
export const Effect = ({ mode, by }: { mode: Mode; by: StopEnginesBy }) => (
  <span class="effect">{effectOf(mode, by)}</span>
);

const DIRECTIVE_DAYS = DIRECTIVE_LIFETIME_SECONDS / 86_400;

/** Whom an isolation affects, what they are told, and how long it may take: the same for who asks and who approves. */
export const IsolationTerms = (terms: { employeeId: string | undefined; settings: IsolationSettings }) => {
  const { employeeId, settings } = terms;
  return (
    <ul class="terms">
      {employeeId !== undefined && (
        <li>
          Affected: <bdi>{employeeId}</bdi>, who works on it.
        </li>
      )}
      <li>
        Told at the host, unless the mode is observe:{" "}
        {settings.isolationNotice === "" ? (
          "the agent's own words, to contact the security team"
        ) : (
          <q>
            <bdi>{settings.isolationNotice}</bdi>
          </q>
        )}
        , and what was done.
      </li>
      <li>
        A silent host is isolated when it is heard of again, within {String(DIRECTIVE_DAYS)} days. Until the
        agent proves it, treat the host as unrestricted.
      </li>
    </ul>
  );
};
