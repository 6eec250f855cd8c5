import { sleep } from "../../shared/time/sleep.ts";
import { readCodeResult, submitCode } from "../contain/release-code-file.ts";
import { loadIdentity } from "../identity/device-identity.ts";
import { fail, type Verb } from "./machine.ts";

const POLL_MS = 250;
/**
 * Timeout in milliseconds for the daemon's result. The daemon checks for a code every few seconds, and
 * releasing the host can take a few more seconds.
 */
const WAIT_MS = 30_000;

/** Passes a one-time release code to the daemon and prints the result. Only the daemon can release the host. */
export const release: Verb = async (machine, { texts, settings }) => {
  const directory = settings.state;
  if (!loadIdentity(directory))
    return fail(
      machine,
      `this host is not enrolled (no identity in ${directory}): there is nothing to release`,
    );
  const code = (texts.code ?? "").trim();
  submitCode(directory, code);
  const until = machine.elapsed() + WAIT_MS;
  while (machine.elapsed() < until && !machine.stopping.aborted) {
    const result = readCodeResult(directory, code);
    if (result?.freed) {
      machine.print(
        "released: this host is no longer isolated; the agent reports this once the control plane is reachable",
      );
      return 0;
    }
    if (result) return fail(machine, `not released: ${result.reason ?? "no reason given"}`);
    await sleep(POLL_MS, machine.stopping);
  }
  return fail(
    machine,
    "the daemon did not respond within 30 s: the code takes effect once lz-agent runs on this host",
  );
};
