import { KEPT_RULES_FILE } from "../contain/state/persisted-rules.ts";
import { daemonWords, may, must, type ServiceKind, type ServiceOptions } from "./plan.ts";

const UNIT = "lz-agent.service";
const PATH = `/etc/systemd/system/${UNIT}`;
const CONTAINED_UNIT = "lz-agent-contained.service";
const CONTAINED_PATH = `/etc/systemd/system/${CONTAINED_UNIT}`;

/**
 * The unit: root, but with seven capabilities and a read-only system (systemd.exec(5)).
 *
 * - CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH: maps and executables of other users' processes, models in their homes.
 * - CAP_CHECKPOINT_RESTORE: files that they map, read through the mapping itself (proc_pid_map_files(5)). A path could
 *   lead elsewhere by now.
 * - CAP_KILL, CAP_NET_ADMIN: containment, and for nothing else.
 * - CAP_SETUID, CAP_SETGID and the group tty: the person at the host is told on their own desktop bus, which answers
 *   nobody else, and in their terminals, which take words from their group only.
 * - No MemoryDenyWriteExecute (the JavaScript engine compiles), no PrivateTmp and no PrivateDevices (models lie
 *   in /tmp, GPUs are devices).
 */
export function systemdUnit(options: ServiceOptions): string {
  return `[Unit]
Description=LifecycleZero endpoint agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${[options.executable, ...daemonWords(options)].map(quote).join(" ")}
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
 * Puts the rules of an isolation that lasts in place before there is a network, where nftables' own service does it
 * (systemd.special(7), network-pre.target) and after it, for it may flush what it finds. The agent, which needs the
 * network, comes later. Nothing is done on a host that is not isolated.
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

/** systemd.syntax(7): double quotes, with backslash, quote, `%` and `$` made harmless. */
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
    // restart, not start: an upgrade in place leaves the old binary running.
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
