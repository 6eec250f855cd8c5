import { z } from "zod";
import { isoTimestamp } from "../../../shared/wire/text.ts";
import { readOcsf } from "../../control/custody/event-feed.ts";
import { operation } from "../define-operation.ts";
import { page } from "../request-schemas.ts";
import { ocsfView } from "../response-schemas.ts";

const exportEvents = operation({
  id: "exportOcsfEvents",
  method: "get",
  path: "/events/ocsf",
  tag: "Events",
  summary: "Read events for a SIEM, starting at a cursor",
  description:
    "Contains events about incidents (opened, escalated, resolved, reopened) and isolations (requested, proven, failed, released). Events are in the order in which they were recorded. Events of the last ten seconds are left out, so that no event appears before your cursor. Every page has a cursor. Store it and send it with the next request. `metadata.uid` is the permanent id of an event.",
  needs: "read-events",
  query: z.strictObject({
    ...page.shape,
    since: isoTimestamp.optional().meta({
      description:
        "Time from which the first page starts: only events recorded at or after this time are returned. Ignored if you send a cursor. Default: the time of the oldest stored event.",
    }),
  }),
  success: 200,
  answer: z.object({
    items: z.array(ocsfView),
    cursor: z
      .string()
      .meta({ description: "Send this cursor with the next request, even if the page is empty." }),
    isCaughtUp: z
      .boolean()
      .meta({ description: "True if there are no more events at the moment. Wait before the next request." }),
  }),
  run: async ({ admin, query }, deps) => ({
    ok: true,
    value: { body: await readOcsf(deps, admin.tenantId, query) },
  }),
});

export const eventOperations = [exportEvents];
