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
    "Events: incidents opened, escalated, resolved and reopened; isolations requested, proven, failed and released. In order of recording, up to ten seconds ago, so that no event appears behind a cursor. Every page has a cursor: store it and read on with it. `metadata.uid` is the permanent id of an event.",
  needs: "read-events",
  query: z.strictObject({
    ...page.shape,
    since: isoTimestamp.optional().meta({
      description: "Start time without a cursor, by time of recording. Default: the oldest stored event.",
    }),
  }),
  success: 200,
  answer: z.object({
    items: z.array(ocsfView),
    cursor: z.string().meta({ description: "Send it with the next request, also after an empty page." }),
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
