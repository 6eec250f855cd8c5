import { readCodeResult, submitCode } from "../contain/release-code-file.ts";
import { loadIdentity } from "../identity/device-identity.ts";
import { sleep } from "../platform/sleep.ts";
import { fail, type Verb } from "./machine.ts";

const POLL_MS = 250;
/** The daemon looks for a code every few seconds; undoing may take a few more. */
const WAIT_MS = 30_000;

/** Hands a one-time release code to the daemon, which alone enforces and frees, and tells what came of it. */
export const release: Verb = async (machine, { texts, settings }) => {
  const directory = settings.state;
  if (!loadIdentity(directory))
    return fail(machine, `this host is not enrolled (no identity in ${directory})`);
  const code = (texts.code ?? "").trim();
  submitCode(directory, code);
  const until = machine.elapsed() + WAIT_MS;
  while (machine.elapsed() < until && !machine.stopping.aborted) {
    const said = readCodeResult(directory, code);
    if (said?.freed) {
      machine.print("released: this host is free, and the control plane is told as soon as it is reachable");
      return 0;
    }
    if (said) return fail(machine, `not released: ${said.reason ?? "no reason given"}`);
    await sleep(POLL_MS, machine.stopping);
  }
  return fail(machine, "no answer from the agent: the code takes effect once lz-agent runs on this host");
};
