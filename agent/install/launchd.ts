import { daemonArguments, insist, may, must, type ServiceKind, type ServiceOptions } from "./plan.ts";
import { escapeXml } from "./xml.ts";

const LABEL = "com.lifecyclezero.agent";
const PATH = `/Library/LaunchDaemons/${LABEL}.plist`;
const LOG = "/Library/Logs/LifecycleZero";

/**
 * The daemon's property list (launchd.plist(5)). `Umask` is decimal: 63 is octal 077. The daemon writes and
 * rotates its own log, because launchd does not rotate files. The stderr file contains output from before the
 * log is opened, and output from a crash.
 */
export function launchdPlist(options: ServiceOptions): string {
  const words = [options.executable, ...daemonArguments(options)];
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words.map((word) => `    <string>${escapeXml(word)}</string>`).join("\n")}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
  <key>ThrottleInterval</key>
  <integer>5</integer>
  <key>ExitTimeOut</key>
  <integer>10</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>LowPriorityIO</key>
  <true/>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardErrorPath</key>
  <string>${LOG}/agent.stderr.log</string>
</dict>
</plist>
`;
}

/**
 * Maximum number of attempts to run `bootstrap`. `bootout` returns before the daemon has ended, and
 * `bootstrap` fails with code 5 until the daemon has ended.
 */
const BOOTSTRAP_TRIES = 10;

export const launchd: ServiceKind = {
  name: "launchd daemon",
  executable: "/usr/local/bin/lz-agent",
  install: (options) => ({
    directories: [LOG],
    // launchd rejects a property list that other users can write.
    files: [{ path: PATH, content: launchdPlist(options), mode: 0o644, encoding: "utf8" }],
    commands: [
      may("launchctl", "bootout", `system/${LABEL}`),
      must("launchctl", "enable", `system/${LABEL}`),
      insist(BOOTSTRAP_TRIES, "launchctl", "bootstrap", "system", PATH),
    ],
    removals: [],
  }),
  uninstall: () => ({
    directories: [],
    files: [],
    commands: [may("launchctl", "bootout", `system/${LABEL}`)],
    removals: [PATH],
  }),
};
