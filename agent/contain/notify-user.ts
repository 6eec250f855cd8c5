import { existsSync, readdirSync } from "node:fs";
import type { Directive } from "../../shared/wire/directive.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { RunCommand } from "../platform/run-command.ts";

const NOTICE_CHARACTERS_MAX = 300;
const USERS_MAX = 16;
const TITLE = "LifecycleZero";
/** Seconds for which a Windows message box stays open. */
const MESSAGE_SECONDS = 3600;

/**
 * The notice to the users of this host about an applied order. Undefined if nothing changes for them. For a
 * release, `stopEnginesBy` says how the isolation that ends had stopped the engines.
 */
export function noticeText({
  action,
  mode,
  notice,
  stopEnginesBy,
}: Pick<Directive, "action" | "mode" | "notice" | "stopEnginesBy">): string | undefined {
  const isTerminated = stopEnginesBy === "terminate";
  if (action === "release") {
    const left = isTerminated ? " You can now start the terminated programs again." : "";
    return `${TITLE}: the isolation of this computer has ended.${left}`;
  }
  if (mode === "observe") return undefined;
  const stopped = isTerminated
    ? "Its AI engines were terminated and are not restarted automatically."
    : "Its AI engines were stopped.";
  const what = mode === "network" ? "Its network is restricted." : stopped;
  const words = notice ?? "Your security team has isolated this computer. Please contact them.";
  return tidy(`${TITLE}: ${words} ${what}`, NOTICE_CHARACTERS_MAX + 90);
}

/** A command that shows a notice. The text is passed as an argument or as standard input, so no shell parses it. */
export type NoticeCommand = { command: readonly string[]; stdin?: string };

/**
 * Linux: wall(1) for all terminals, and notify-send(1) for each desktop session. notify-send runs as the user
 * of the session, because a session bus rejects other users, including root. The body is markup (Desktop
 * Notifications Specification 1.2).
 */
export function linuxNotice(words: string, uids: readonly number[]): NoticeCommand[] {
  const body = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const desktops = uids.slice(0, USERS_MAX).map((uid) => ({
    command: [
      "setpriv",
      `--reuid=${uid}`,
      "--clear-groups",
      "env",
      `DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/${uid}/bus`,
      "notify-send",
      "--urgency=critical",
      `--app-name=${TITLE}`,
      "--",
      TITLE,
      body,
    ],
  }));
  return [{ command: ["wall", "--", words] }, ...desktops];
}

/** macOS: wall(1) for all terminals, and a notification in the session of the user who is logged in at the screen. */
export function darwinNotice(words: string, uids: readonly number[]): NoticeCommand[] {
  const script = ["on run argv", `display notification (item 1 of argv) with title "${TITLE}"`, "end run"];
  const lines = script.flatMap((line) => ["-e", line]);
  const desktops = uids.slice(0, USERS_MAX).map((uid) => ({
    command: [
      ...["/bin/launchctl", "asuser", String(uid), "/usr/bin/sudo", "-u", `#${uid}`],
      ...["/usr/bin/osascript", ...lines, "--", words],
    ],
  }));
  return [{ command: ["/usr/bin/wall"], stdin: `${words}\n` }, ...desktops];
}

/** Windows: a message box in every session, shown by msg.exe. The Home edition has no msg.exe. */
export const windowsNotice = (words: string): NoticeCommand[] => [
  { command: ["msg.exe", "*", `/TIME:${MESSAGE_SECONDS}`], stdin: words },
];

/**
 * Shows notices to the users of this host. Undefined on other systems. Needs root, or the rights of the
 * service. Has no effect on a host without terminals, desktops or these programs.
 */
export function userNotifier(
  platform: NodeJS.Platform,
  run: RunCommand,
): ((words: string) => Promise<void>) | undefined {
  const notices: Partial<Record<NodeJS.Platform, (words: string) => Promise<NoticeCommand[]>>> = {
    linux: async (words) => linuxNotice(words, busUids()),
    darwin: async (words) => darwinNotice(words, await consoleUids(run)),
    win32: async (words) => windowsNotice(words),
  };
  const noticeFor = notices[platform];
  if (!noticeFor) return undefined;
  return async (words) => {
    await Promise.all((await noticeFor(words)).map(({ command, stdin }) => run(command, stdin)));
  };
}

/** Numeric ids of users with a session bus. */
function busUids(): number[] {
  try {
    return readdirSync("/run/user")
      .filter((name) => /^[1-9]\d{0,9}$/.test(name) && existsSync(`/run/user/${name}/bus`))
      .map(Number);
  } catch {
    return [];
  }
}

/**
 * The user who is logged in at the screen, who owns the console device. If no user is logged in, root owns
 * the console and the list is empty.
 */
async function consoleUids(run: RunCommand): Promise<number[]> {
  const { stdout } = await run(["/usr/bin/stat", "-f", "%u", "/dev/console"]);
  const uid = /^[1-9]\d{0,9}$/.exec(stdout.trim())?.[0];
  return uid === undefined ? [] : [Number(uid)];
}
