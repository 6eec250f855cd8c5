import { z } from "zod";
import { slug } from "../../ids.ts";
import { isTimeZone } from "../../time/time-zone.ts";
import { LIMITS } from "../../wire/heartbeat.ts";
import { text } from "../../wire/text.ts";
import { count } from "./count.ts";

const slugs = (max: number) => z.array(slug).max(max).default([]);

/** Name patterns such as `llama3*`. `*` matches any characters, and the comparison ignores case. */
const patterns = (max: number, preset: string[] = []) => z.array(text(260)).max(max).default(preset);

const digests = z
  .array(z.string().regex(/^[0-9a-f]{64}$/))
  .max(500)
  .default([]);

const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/);

/**
 * Policy of a tenant. Every field has a default, so `{}` is a complete policy. It approves no engine and no
 * model, so everything that is found is reported. It allows connections on loopback only. An empty list of
 * allowed values disables its check. docs/policy.md explains each field.
 */
export const policy = z.strictObject({
  approvedEngines: slugs(200),
  bannedEngines: slugs(200),
  approvedModels: patterns(500),
  bannedModels: patterns(500),
  /** Names of approved publishers. If the list is empty, publishers are not checked. */
  approvedPublishers: patterns(200),
  bannedPublishers: patterns(200),
  /** Names of approved licences. If the list is empty, licences are not checked. */
  approvedLicences: patterns(200),
  bannedLicences: patterns(200),
  /** Clients that may use an engine: only those on this host, also others with a credential, or anyone. */
  exposure: z.enum(["loopback", "authenticated", "any"]).default("loopback"),
  /** Requires a credential even on loopback. */
  requireAuthentication: z.boolean().default(false),
  /** SHA-256 of approved executables. If the list is empty, executables are not checked. */
  approvedExecutables: digests,
  bannedExecutables: digests,
  /** Folders from which no engine should run. */
  suspectPaths: patterns(100, [
    "/tmp/*",
    "/var/tmp/*",
    "/dev/shm/*",
    // Temporary folders of macOS, each listed with both of its names. A newly downloaded app runs from such a
    // folder.
    "/private/tmp/*",
    "/private/var/tmp/*",
    "/var/folders/*",
    "/private/var/folders/*",
    "~/Downloads/*",
    "*\\Downloads\\*",
    "*\\Temp\\*",
    "/Volumes/*",
  ]),
  /** Accounts under which no engine should run. Windows prefixes the host name and uses localised account names. */
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
  /** Programs that may use an engine. If the list is empty, clients are not checked. */
  approvedClients: patterns(200),
  bannedClients: patterns(200),
  /** Working directories whose files must not reach a model. Requires `clientDirectories` in the settings. */
  protectedDirectories: patterns(200),
  /** Working hours. An engine that is used outside of them is reported. Absent: hours are not checked. */
  workingHours: z
    .strictObject({
      /** ISO weekdays. 1 is Monday. */
      days: z.array(z.int().min(1).max(7)).min(1).max(7),
      from: clockTime,
      /** End of the working hours. If it is earlier than `from`, it is on the next day. */
      to: clockTime,
      /** Name of a time zone in the IANA time zone database, including daylight saving time. */
      timeZone: z
        .string()
        .regex(/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/)
        .optional(),
      /** Offset in minutes east of UTC, without daylight saving time. */
      utcOffsetMinutes: z.int().min(-720).max(840).default(0),
    })
    .refine(({ from, to }) => from !== to, "from and to must differ")
    .refine(({ timeZone, utcOffsetMinutes }) => timeZone === undefined || utcOffsetMinutes === 0, {
      message: "set timeZone or utcOffsetMinutes, not both",
      path: ["utcOffsetMinutes"],
    })
    .optional(),
  /** Maximum size of model weights in bytes. 0: there is no limit. */
  modelBytesMax: count.default(32 * 2 ** 30),
  /** Minimum version of an engine, by engine id. */
  engineVersionsMin: z.record(slug, text(40)).default({}),
  /** Known vulnerabilities that the organisation accepts. */
  acceptedCves: z
    .array(z.string().regex(/^(CVE|GHSA)-[A-Za-z0-9-]{4,40}$/))
    .max(200)
    .default([]),
  agentVersionMin: text(40).optional(),
  /** Maximum age of the agent's catalogue in days. 0: there is no limit. */
  catalogueAgeDaysMax: z.int().min(0).max(3650).default(90),
  /**
   * Names of the collectors that must work. The status `unsupported` is not reported, because no setting of
   * the host can change it.
   */
  requiredCollectors: z.array(slug).max(LIMITS.COLLECTORS_MAX).default(["processes", "listeners"]),
  /** Maximum number of heartbeats that an agent can have dropped since enrolment. */
  spoolDroppedMax: count.default(0),
  /**
   * Maximum number of heartbeats that can wait on a host. The default corresponds to one hour of heartbeats
   * at the default interval.
   */
  spoolWaitingMax: count.default(720),
  disabledRules: slugs(100),
});
export type Policy = z.infer<typeof policy>;

/**
 * Schema of a new policy. Its time zone must be known to this runtime. Stored policies are read without this
 * check, because another node may know newer time zones.
 */
export const newPolicy = policy.superRefine(({ workingHours }, context) => {
  if (workingHours?.timeZone === undefined || isTimeZone(workingHours.timeZone)) return;
  const message = "unknown time zone: use a name from the IANA database, for example Europe/Stockholm";
  context.addIssue({ code: "custom", message, path: ["workingHours", "timeZone"] });
});
