/**
 * Runs a command as if on another machine: in a mount namespace with the given SMBIOS UUID and host name.
 * Needs Linux and root. `exec` keeps the process id, so signals reach the command itself.
 */
export function onMachine(
  { uuid, hostname }: { uuid: string; hostname: string },
  command: readonly string[],
) {
  const script =
    "mount -t tmpfs none /sys/class && mkdir -p /sys/class/dmi/id && " +
    'printf "%s\\n" "$1" > /sys/class/dmi/id/product_uuid && hostname "$2" && shift 2 && exec "$@"';
  return ["unshare", "--mount", "--uts", "sh", "-c", script, "sh", uuid, hostname, ...command];
}
