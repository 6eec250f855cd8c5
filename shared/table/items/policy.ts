import { z } from "zod";
import { slug } from "../../ids.ts";
import { isTimeZone } from "../../time/time-zone.ts";
import { LIMITS } from "../../wire/heartbeat.ts";
import { text } from "../../wire/text.ts";
import { count } from "./count.ts";

const slugs = (max: number) => z.array(slug).max(max).default([]);

/** Patterns; `*` stands for any run of characters, case does not matter: `llama3*`. */
const patterns = (max: number, preset: string[] = []) => z.array(text(260)).max(max).default(preset);

const digests = z
  .array(z.string().regex(/^[0-9a-f]{64}$/))
  .max(500)
  .default([]);

const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/);

/**
 * What the company allows. Every field has a default, so `{}` is a whole policy: it approves no engine and no
 * model (everything found is told), allows loopback only, and leaves unchecked what no list was given for.
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
  /** Who may reach an engine: this host alone, others with a credential, anybody. */
  exposure: z.enum(["loopback", "authenticated", "any"]).default("loopback"),
  /** Asks for a credential on loopback too. */
  requireAuthentication: z.boolean().default(false),
  /** SHA-256 of executables. Empty: not checked. */
  approvedExecutables: digests,
  bannedExecutables: digests,
  /** Where no engine should run from. */
  suspectPaths: patterns(100, [
    "/tmp/*",
    "/var/tmp/*",
    "/dev/shm/*",
    // Where macOS puts them, under either name: an app just downloaded runs from a folder of the last kind.
    "/private/tmp/*",
    "/private/var/tmp/*",
    "/var/folders/*",
    "/private/var/folders/*",
    "~/Downloads/*",
    "*\\Downloads\\*",
    "*\\Temp\\*",
    "/Volumes/*",
  ]),
  /** Accounts no engine should run under. Windows names them with the host before, and in its own language. */
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
  /** Working directories whose contents must not reach a model. Needs `clientDirectories` in the settings. */
  protectedDirectories: patterns(200),
  /** Outside of these hours an engine in use is told. Absent: any hour is fine. */
  workingHours: z
    .strictObject({
      /** ISO weekdays, 1 is Monday. */
      days: z.array(z.int().min(1).max(7)).min(1).max(7),
      from: clockTime,
      /** Earlier than `from`: on the day after. */
      to: clockTime,
      /** Name in the IANA time zone database, with its daylight saving. */
      timeZone: z
        .string()
        .regex(/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/)
        .optional(),
      /** Minutes east of UTC, the same all year. */
      utcOffsetMinutes: z.int().min(-720).max(840).default(0),
    })
    .refine(({ from, to }) => from !== to, "from and to must differ")
    .refine(({ timeZone, utcOffsetMinutes }) => timeZone === undefined || utcOffsetMinutes === 0, {
      message: "a time zone has its own offset: leave out one of the two",
      path: ["utcOffsetMinutes"],
    })
    .optional(),
  /** Largest weights file in bytes; 0: any size. */
  modelBytesMax: count.default(32 * 2 ** 30),
  /** Oldest version of an engine that may run, by engine id. */
  engineVersionsMin: z.record(slug, text(40)).default({}),
  /** Known vulnerabilities the company has accepted. */
  acceptedCves: z
    .array(z.string().regex(/^(CVE|GHSA)-[A-Za-z0-9-]{4,40}$/))
    .max(200)
    .default([]),
  agentVersionMin: text(40).optional(),
  /** The agent's catalogue of engines may be this old; 0: any age. */
  catalogueAgeDaysMax: z.int().min(0).max(3650).default(90),
  /** Sources that must see. `unsupported` is not told: no setting of the host would change it. */
  requiredCollectors: z.array(slug).max(LIMITS.COLLECTORS_MAX).default(["processes", "listeners"]),
  /** Heartbeats an agent may have lost since enrolment. */
  spoolDroppedMax: count.default(0),
  /** Heartbeats that may wait on a host: an hour of them at the default interval. */
  spoolWaitingMax: count.default(720),
  disabledRules: slugs(100),
});
export type Policy = z.infer<typeof policy>;

/**
 * A policy that somebody hands in: its time zone has to be one. What is in the table already is read all the same by
 * a runtime whose time zones are older.
 */
export const newPolicy = policy.superRefine(({ workingHours }, context) => {
  if (workingHours?.timeZone === undefined || isTimeZone(workingHours.timeZone)) return;
  const message = "no time zone of the IANA database, as Europe/Stockholm is";
  context.addIssue({ code: "custom", message, path: ["workingHours", "timeZone"] });
});
