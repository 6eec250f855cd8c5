import { KEPT_RULES_FILE } from "../contain/state/persisted-rules.ts";
import { daemonArguments, may, must, type ServiceKind, type ServiceOptions } from "./plan.ts";

const UNIT = "lz-agent.service";
const PATH = `/etc/systemd/system/${UNIT}`;
const CONTAINED_UNIT = "lz-agent-contained.service";
const CONTAINED_PATH = `/etc/systemd/system/${CONTAINED_UNIT}`;

/**
 * The unit runs as root with seven capabilities and a read-only system (systemd.exec(5)).
 *
 * - CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH: to read memory maps and executables of other users' processes, and models in
 *   their home directories.
 * - CAP_CHECKPOINT_RESTORE: to read mapped files through the mapping (proc_pid_map_files(5)), because the file at the
 *   same path may be a different file.
 * - CAP_KILL, CAP_NET_ADMIN: for containment only.
 * - CAP_SETUID, CAP_SETGID and the group tty: to notify the users of the host. A desktop bus accepts only its own user,
 *   and a terminal accepts only its group.
 *
 * MemoryDenyWriteExecute is absent, because the JavaScript engine compiles to machine code. PrivateTmp is absent, because
 * models can be in /tmp. PrivateDevices is absent, because GPUs are devices.
 */
export function systemdUnit(options: ServiceOptions): string {
  return `[Unit]
Description=LifecycleZero endpoint agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${[options.executable, ...daemonArguments(options)].map(quote).join(" ")}
Restart=always
RestartSec=5
RestartPreventExitStatus=2
TimeoutStopSec=10
UMask=0077
ReadWritePaths=${quote(options.stateDirectory)}
Nice=10
IOSchedulingClass=idle
MemoryMax=256M
CPUQuota=25%
TasksMax=64
CapabilityBoundingSet=CAP_CHECKPOINT_RESTORE CAP_DAC_READ_SEARCH CAP_KILL CAP_NET_ADMIN CAP_SETGID CAP_SETUID CAP_SYS_PTRACE
SupplementaryGroups=tty
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/**
 * The unit that installs the rules of a lasting isolation at boot, before the network is up
 * (systemd.special(7), network-pre.target). It runs after the firewall services, because these services can
 * flush all rules. It runs before the agent, because the agent needs the network. On a host that is not
 * isolated, it does nothing.
 */
export function containedUnit({ stateDirectory }: ServiceOptions): string {
  const rules = `${stateDirectory}/${KEPT_RULES_FILE}`;
  return `[Unit]
Description=LifecycleZero: isolation of this host before it has a network
DefaultDependencies=no
RequiresMountsFor=${quote(stateDirectory)}
ConditionPathExists=${rules.replaceAll("%", "%%")}
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=nftables.service firewalld.service ufw.service
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=nft -f ${quote(rules)}

[Install]
WantedBy=sysinit.target
`;
}

/** Puts a word in double quotes, and escapes backslash, quote, `%` and `$` (systemd.syntax(7)). */
const quote = (word: string): string =>
  /^[\w./@:-]+$/.test(word)
    ? word
    : `"${word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$")}"`;

export const systemd: ServiceKind = {
  name: "systemd unit",
  executable: "/usr/local/bin/lz-agent",
  install: (options) => ({
    directories: [],
    files: [
      { path: PATH, content: systemdUnit(options), mode: 0o644, encoding: "utf8" },
      { path: CONTAINED_PATH, content: containedUnit(options), mode: 0o644, encoding: "utf8" },
    ],
    // The command is `restart`, because after an upgrade `start` would leave the old binary running.
    commands: [
      must("systemctl", "daemon-reload"),
      must("systemctl", "enable", UNIT, CONTAINED_UNIT),
      must("systemctl", "restart", UNIT),
    ],
    removals: [],
  }),
  uninstall: () => ({
    directories: [],
    files: [],
    commands: [may("systemctl", "disable", "--now", UNIT, CONTAINED_UNIT)],
    removals: [PATH, CONTAINED_PATH],
  }),
};
