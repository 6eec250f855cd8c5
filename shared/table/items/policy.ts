import { z } from "zod";
import { slug } from "../../ids.ts";
import { isTimeZone } from "../../time/time-zone.ts";
import { LIMITS } from "../../wire/heartbeat.ts";
import { text } from "../../wire/text.ts";
import { count } from "./count.ts";

const slugs = (max: number) => z.array(slug).max(max).default([]);

/** Patterns; `*` matches any characters, case is ignored: `llama3*`. */
const patterns = (max: number, preset: string[] = []) => z.array(text(260)).max(max).default(preset);

const digests = z
  .array(z.string().regex(/^[0-9a-f]{64}$/))
  .max(500)
  .default([]);

const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/);

/**
 * Policy of a company. Every field has a default, so `{}` is a complete policy: it approves no engine and no
 * model (everything found is reported), allows loopback only, and does not check anything without a list.
 * docs/policy.md explains each field.
 */
export const policy = z.strictObject({
  approvedEngines: slugs(200),
  bannedEngines: slugs(200),
  approvedModels: patterns(500),
  bannedModels: patterns(500),
  /** Empty: publishers are not checked. */
  approvedPublishers: patterns(200),
  bannedPublishers: patterns(200),
  /** Empty: licences are not checked. */
  approvedLicences: patterns(200),
  bannedLicences: patterns(200),
  /** Allowed clients of an engine: only this host, others with a credential, or anyone. */
  exposure: z.enum(["loopback", "authenticated", "any"]).default("loopback"),
  /** Requires a credential on loopback too. */
  requireAuthentication: z.boolean().default(false),
  /** SHA-256 of executables. Empty: not checked. */
  approvedExecutables: digests,
  bannedExecutables: digests,
  /** Folders from which no engine should run. */
  suspectPaths: patterns(100, [
    "/tmp/*",
    "/var/tmp/*",
    "/dev/shm/*",
    // Temporary folders of macOS, with both names. A newly downloaded app runs from such a folder.
    "/private/tmp/*",
    "/private/var/tmp/*",
    "/var/folders/*",
    "/private/var/folders/*",
    "~/Downloads/*",
    "*\\Downloads\\*",
    "*\\Temp\\*",
    "/Volumes/*",
  ]),
  /** Accounts under which no engine should run. Windows puts the host name in front and uses its own language. */
  privilegedUsers: patterns(20, [
    "root",
    "SYSTEM",
    "NT AUTHORITY\\*",
    "NT-AUTORITÄT\\*",
    "AUTORITE NT\\*",
    "Administrator",
    "*\\Administrator",
    "*\\Administrateur",
    "*\\Administrador",
  ]),
  /** Empty: clients are not checked. */
  approvedClients: patterns(200),
  bannedClients: patterns(200),
  /** Working directories whose files must not reach a model. Requires `clientDirectories` in the settings. */
  protectedDirectories: patterns(200),
  /** An engine in use outside these hours is reported. Absent: hours are not checked. */
  workingHours: z
    .strictObject({
      /** ISO weekdays, 1 is Monday. */
      days: z.array(z.int().min(1).max(7)).min(1).max(7),
      from: clockTime,
      /** If earlier than `from`: on the next day. */
      to: clockTime,
      /** Name in the IANA time zone database, including daylight saving time. */
      timeZone: z
        .string()
        .regex(/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/)
        .optional(),
      /** Minutes east of UTC, the same all year. */
      utcOffsetMinutes: z.int().min(-720).max(840).default(0),
    })
    .refine(({ from, to }) => from !== to, "from and to must differ")
    .refine(({ timeZone, utcOffsetMinutes }) => timeZone === undefined || utcOffsetMinutes === 0, {
      message: "set timeZone or utcOffsetMinutes, not both",
      path: ["utcOffsetMinutes"],
    })
    .optional(),
  /** Maximum size of model weights in bytes. 0: no limit. */
  modelBytesMax: count.default(32 * 2 ** 30),
  /** Oldest version of an engine that may run, by engine id. */
  engineVersionsMin: z.record(slug, text(40)).default({}),
  /** Known vulnerabilities that the company accepts. */
  acceptedCves: z
    .array(z.string().regex(/^(CVE|GHSA)-[A-Za-z0-9-]{4,40}$/))
    .max(200)
    .default([]),
  agentVersionMin: text(40).optional(),
  /** Maximum age of the agent's catalogue in days. 0: no limit. */
  catalogueAgeDaysMax: z.int().min(0).max(3650).default(90),
  /** Collectors that must work. `unsupported` is not reported, because no setting of the host can change it. */
  requiredCollectors: z.array(slug).max(LIMITS.COLLECTORS_MAX).default(["processes", "listeners"]),
  /** Heartbeats that an agent may have dropped since enrolment. */
  spoolDroppedMax: count.default(0),
  /** Heartbeats that may wait on a host: one hour at the default interval. */
  spoolWaitingMax: count.default(720),
  disabledRules: slugs(100),
});
export type Policy = z.infer<typeof policy>;

/**
 * Schema of a new policy: its time zone must be known to this runtime. Stored policies are read without this
 * check, because another node may know newer time zones.
 */
export const newPolicy = policy.superRefine(({ workingHours }, context) => {
  if (workingHours?.timeZone === undefined || isTimeZone(workingHours.timeZone)) return;
  const message = "unknown time zone: use a name from the IANA database, for example Europe/Stockholm";
  context.addIssue({ code: "custom", message, path: ["workingHours", "timeZone"] });
});
