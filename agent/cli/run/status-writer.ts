import { timestamp } from "../../../shared/time/clock.ts";
import type { HostState } from "../../../shared/wire/state.ts";
import { type DaemonStatus, writeStatus } from "../../daemon/status-file.ts";
import { AGENT_VERSION } from "../../platform/agent-version.ts";
import type { Connection } from "../../report/heartbeat-sender.ts";
import type { Machine } from "../machine.ts";

/** Interval in milliseconds between two writes while nothing changes. It prevents a write for every heartbeat. */
const WRITE_EVERY_MS = 30_000;

type FromParts = Pick<DaemonStatus, "config" | "proxy" | "dropped" | "settingsRefused" | "containment">;

/**
 * Writes status.json for `lz-agent status`. Writes immediately when the connection or the number of engines
 * changes, and otherwise every 30 s.
 */
export class StatusWriter {
  readonly #machine: Pick<Machine, "elapsed" | "clock" | "pid">;
  readonly #directory: string;
  readonly #read: () => FromParts;
  #connection: Connection = { state: "starting" };
  #lastTakenAt: string | undefined;
  #engines = 0;
  #writtenAtMs = Number.NEGATIVE_INFINITY;

  /**
   * Creates the writer.
   *
   * @param read returns the status fields that other components of the daemon provide
   */
  constructor(machine: Pick<Machine, "elapsed" | "clock" | "pid">, directory: string, read: () => FromParts) {
    this.#machine = machine;
    this.#directory = directory;
    this.#read = read;
  }

  /** Call when the control plane accepted a heartbeat. The next write contains the time of acceptance. */
  noteAccepted(receivedAt: string): void {
    this.#lastTakenAt = receivedAt;
  }

  noteConnection(connection: Connection): void {
    this.#connection = connection;
    this.#write();
  }

  noteScan({ engines }: Pick<HostState, "engines">): void {
    const isChange = this.#engines !== engines.length;
    this.#engines = engines.length;
    if (isChange || this.#machine.elapsed() - this.#writtenAtMs >= WRITE_EVERY_MS) this.#write();
  }

  #write(): void {
    const { elapsed, clock, pid } = this.#machine;
    this.#writtenAtMs = elapsed();
    const { state, reason } = this.#connection;
    writeStatus(this.#directory, {
      writtenAt: timestamp(clock()),
      pid,
      version: AGENT_VERSION,
      connection: state,
      ...(reason !== undefined && { reason }),
      ...(this.#lastTakenAt !== undefined && { lastTakenAt: this.#lastTakenAt }),
      engines: this.#engines,
      ...this.#read(),
    });
  }
}
