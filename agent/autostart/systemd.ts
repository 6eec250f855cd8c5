import { may, must, type ServiceKind, type ServiceOptions } from "./plan.ts";

const UNIT = "lz-agent.service";
const PATH = `/etc/systemd/system/${UNIT}`;

/**
 * The unit: root, but with four capabilities and a read-only system (systemd.exec(5)).
 *
 * - CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH: maps and executables of other users' processes, models in their homes.
 * - CAP_KILL, CAP_NET_ADMIN: containment, and for nothing else.
 * - No MemoryDenyWriteExecute (the JavaScript engine compiles), no PrivateTmp and no PrivateDevices (models lie
 *   in /tmp, GPUs are devices).
 */
export function systemdUnit({ executable, stateDirectory }: ServiceOptions): string {
  return `[Unit]
Description=LifecycleZero endpoint agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${quote(executable)} run --state ${quote(stateDirectory)}
Restart=always
RestartSec=5
RestartPreventExitStatus=2
TimeoutStopSec=10
UMask=0077
ReadWritePaths=${quote(stateDirectory)}
Nice=10
IOSchedulingClass=idle
MemoryMax=256M
CPUQuota=25%
TasksMax=64
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_KILL CAP_NET_ADMIN CAP_SYS_PTRACE
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

/** systemd.syntax(7): double quotes, with backslash, quote, `%` and `$` made harmless. */
const quote = (word: string): string =>
  /^[\w./@:-]+$/.test(word)
    ? word
    : `"${word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$")}"`;

export const systemd: ServiceKind = {
  executable: "/usr/local/bin/lz-agent",
  install: (options) => ({
    directories: [],
    files: [{ path: PATH, content: systemdUnit(options), mode: 0o644, encoding: "utf8" }],
    // restart, not start: an upgrade in place leaves the old binary running.
    commands: [
      must("systemctl", "daemon-reload"),
      must("systemctl", "enable", UNIT),
      must("systemctl", "restart", UNIT),
    ],
    removals: [],
  }),
  uninstall: () => ({
    directories: [],
    files: [],
    commands: [may("systemctl", "disable", "--now", UNIT)],
    removals: [PATH],
  }),
};
