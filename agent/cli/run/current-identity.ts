import type { AgentSettings } from "../../../shared/wire/agent-settings.ts";
import { type Identity, saveIdentity } from "../../identity/device-identity.ts";
import { takeKeySet } from "../../identity/pinned-keys.ts";
import { takeSettings } from "../../identity/tenant-settings.ts";
import type { Log } from "../../platform/log.ts";
import { codeOf } from "../../platform/state-files.ts";

type CurrentIdentityDeps = {
  identity: Identity;
  /** State directory. */
  directory: string;
  /** Interval from `--interval` in milliseconds. It overrides the tenant's interval. */
  intervalMs: number | undefined;
  log: Log;
};

/**
 * The identity of this host while the daemon runs. Saves new settings and control keys that arrive in session
 * responses.
 */
export class CurrentIdentity {
  readonly #deps: CurrentIdentityDeps;
  #identity: Identity;
  #settingsRejected: string | undefined;

  constructor(deps: CurrentIdentityDeps) {
    this.#deps = deps;
    this.#identity = deps.identity;
  }

  get value(): Identity {
    return this.#identity;
  }

  /** The tenant's settings. An interval from the command line overrides the tenant's interval. */
  get settings(): AgentSettings {
    const { intervalMs } = this.#deps;
    const { settings } = this.#identity;
    return intervalMs === undefined ? settings : { ...settings, heartbeatIntervalMs: intervalMs };
  }

  /**
   * The reason why the newest signed settings were rejected. Undefined if they were accepted, or if the
   * control plane sent none.
   */
  get settingsRejected(): string | undefined {
    return this.#settingsRejected;
  }

  /** Verifies the settings of a session and uses them immediately. Rejected settings change nothing. */
  async takeSettings(signed: string | undefined): Promise<void> {
    const { log } = this.#deps;
    const verdict = await takeSettings(this.#identity, signed);
    this.#settingsRejected = verdict.is === "refused" ? verdict.reason : undefined;
    if (verdict.is === "refused") log("warn", "settings.refused", { reason: verdict.reason });
    if (verdict.is !== "taken") return;
    const { settings, settingsVersion } = verdict.identity;
    const isChange = JSON.stringify(settings) !== JSON.stringify(this.#identity.settings);
    // Replace only the settings, because the pinned keys may have changed while the signature was verified.
    this.#identity = { ...this.#identity, settings, settingsVersion };
    if (isChange)
      log("info", "settings.changed", {
        intervalMs: settings.heartbeatIntervalMs,
        clientDirectories: settings.clientDirectories,
      });
    this.#save("settings");
  }

  /** Verifies a session's set of control keys and pins them immediately. A rejected set changes nothing. */
  async takeKeys(jws: string, nowMs: number): Promise<void> {
    const { log } = this.#deps;
    const verdict = await takeKeySet(this.#identity, jws, nowMs);
    if (verdict.is === "refused") log("warn", "control-keys.refused", { reason: verdict.reason });
    if (verdict.is !== "taken") return;
    const { jwks, keySet } = verdict.identity;
    // Replace only the keys, because the settings may have changed while the signature was verified.
    this.#identity = { ...this.#identity, jwks, ...(keySet && { keySet }) };
    log("info", "control-keys.rotated", { pinned: jwks.keys.length });
    this.#save("control keys");
  }

  /** Saves the identity. If the file cannot be written, the next session response contains the same values again. */
  #save(what: string): void {
    const { directory, log } = this.#deps;
    try {
      saveIdentity(directory, this.#identity);
    } catch (cause) {
      log("warn", "identity.not-saved", { what, reason: codeOf(cause) });
    }
  }
}
