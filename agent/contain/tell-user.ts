import { readdirSync } from "node:fs";
import type { Directive } from "../../shared/wire/directive.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { RunCommand } from "../command.ts";

const WORDS_MAX = 300;
const USERS_MAX = 16;

/** What is told of an order that was carried out; nothing where nothing changes for the person at the host. */
export function noticeOf({
  action,
  mode,
  notice,
}: Pick<Directive, "action" | "mode" | "notice">): string | undefined {
  if (action === "release") return "LifecycleZero: the isolation of this computer has ended.";
  if (mode === "observe") return undefined;
  const what = mode === "network" ? "Its network is restricted." : "Its AI engines were stopped.";
  const words = notice ?? "Your security team has isolated this computer. Please contact them.";
  return tidy(`LifecycleZero: ${words} ${what}`, WORDS_MAX + 60);
}

/**
 * Who to tell how: every terminal by wall(1), every desktop session by notify-send(1) on its own bus, as its own
 * user. The words are arguments, never a shell's.
 */
export function tellCommands(words: string, uids: readonly number[]): string[][] {
  const desktops = uids
    .slice(0, USERS_MAX)
    .map((uid) => [
      "setpriv",
      `--reuid=${uid}`,
      "--clear-groups",
      "env",
      `DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/${uid}/bus`,
      "notify-send",
      "--urgency=critical",
      "--app-name=LifecycleZero",
      "--",
      "LifecycleZero",
      words,
    ]);
  return [["wall", "--", words], ...desktops];
}

/** Linux, as root. A host without terminals, desktops or these programs has nobody to be told this way. */
export function tellUsersOf(run: RunCommand): (words: string) => Promise<void> {
  return async (words) => {
    await Promise.all(tellCommands(words, sessionUids()).map((command) => run(command)));
  };
}

function sessionUids(): number[] {
  try {
    return readdirSync("/run/user")
      .filter((name) => /^[1-9]\d{0,9}$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}
