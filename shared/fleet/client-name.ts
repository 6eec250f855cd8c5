import type { Client } from "../wire/heartbeat.ts";

/** Name of a client in lists: the name of its program if known, otherwise a description. */
export const clientName = ({ name, remote }: Pick<Client, "name" | "remote">): string =>
  name ?? (remote === undefined ? "unknown process" : "another host");
