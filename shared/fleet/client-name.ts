import type { Client } from "../wire/heartbeat.ts";

/** What lists call a client: the program's name, or in words what is known of it. */
export const clientName = ({ name, remote }: Pick<Client, "name" | "remote">): string =>
  name ?? (remote === undefined ? "unknown process" : "another host");
