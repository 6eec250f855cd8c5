import type { HostRule, IdentityConflict } from "../rule.ts";

const time = (at: string): string => `${at.slice(0, 16).replace("T", " ")} UTC`;

function whoShares({ machines, refused }: IdentityConflict): string | undefined {
  const names = machines.slice(0, 3).map(({ hostname, since }) => `${hostname} (since ${time(since)})`);
  const more = machines.length > 3 ? ` and ${machines.length - 3} more` : "";
  const shared =
    names.length > 0
      ? `${machines.length} machines alternately report with this identity: ${names.join(", ")}${more}.`
      : undefined;
  const denied =
    refused &&
    `${refused.hostname ?? "Another machine"} has a copy of this identity on another mainboard. Its sessions have been refused since ${time(refused.since)}.`;
  return [shared, denied].filter((part) => part !== undefined).join(" ") || undefined;
}

/** Rules on the use of an identity by another machine, or by more than one machine. */
export const IDENTITY: readonly HostRule[] = [
  {
    id: "identity-cloned",
    about: "host",
    title: "Two machines use one identity",
    atlas: "AML.T0074",
    points: 85,
    remediation:
      "Find the copied disk or image. On each copy, run lz-agent enroll with a new token. If the machines share a mainboard id, revoke this asset and enrol all of them. Repeatedly restoring a snapshot of one machine also causes this finding.",
    applies: ({ identity }) => identity && whoShares(identity),
  },
  {
    id: "isolated-host-reenrolled",
    about: "host",
    title: "An isolated host enrolled again",
    atlas: "AML.T0107",
    points: 90,
    remediation:
      "Isolate this asset too. If the reinstallation fixed the problem, release the old asset instead and merge it into this one.",
    applies: ({ identity }) =>
      identity?.isolatedBefore &&
      `This machine was previously enrolled as ${identity.isolatedBefore.hostname} (${identity.isolatedBefore.assetId}), and that asset was isolated when it enrolled again.`,
  },
];
