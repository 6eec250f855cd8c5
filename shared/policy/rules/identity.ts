import type { HostRule, IdentityScene } from "../rule.ts";

const time = (at: string): string => `${at.slice(0, 16).replace("T", " ")} UTC`;

function whoShares({ machines, refused }: IdentityScene): string | undefined {
  const names = machines.slice(0, 3).map(({ hostname, since }) => `${hostname} (since ${time(since)})`);
  const more = machines.length > 3 ? ` and ${machines.length - 3} more` : "";
  const shared =
    names.length > 0
      ? `${machines.length} machines report under this identity in turns: ${names.join(", ")}${more}.`
      : undefined;
  const denied =
    refused &&
    `${refused.hostname ?? "Another machine"} has a copy of this identity on another mainboard; it is refused since ${time(refused.since)}.`;
  return [shared, denied].filter((part) => part !== undefined).join(" ") || undefined;
}

/** Whether one machine, and the right one, uses an identity. */
export const IDENTITY: readonly HostRule[] = [
  {
    id: "identity-cloned",
    about: "host",
    title: "Two machines use one identity",
    atlas: "AML.T0074",
    points: 85,
    remediation:
      "Find the copied disk or image. On each copy run lz-agent enroll with a new token; if they share a mainboard id, revoke this asset and enrol all of them. A machine put back to a snapshot again and again looks the same.",
    applies: ({ identity }) => identity && whoShares(identity),
  },
  {
    id: "isolated-host-reenrolled",
    about: "host",
    title: "An isolated host enrolled again",
    atlas: "AML.T0107",
    points: 90,
    remediation:
      "Isolate this asset too, unless the new installation was the cure; then release the old asset and merge it into this one.",
    applies: ({ identity }) =>
      identity?.isolatedBefore &&
      `This machine enrolled before as ${identity.isolatedBefore.hostname} (${identity.isolatedBefore.assetId}), which was isolated when it enrolled again.`,
  },
];
