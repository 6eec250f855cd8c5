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
  summary: "Read what happened, for a SIEM, from a cursor on",
  description:
    "Incidents opened, escalated, resolved, reopened; isolations requested, proven, failed, released. In the order of recording, up to ten seconds ago, so that nothing ever appears behind a cursor. There is always a cursor: keep it, and ask again with it. `metadata.uid` is an event's id, the same for ever.",
  needs: "read-events",
  query: z.strictObject({
    ...page.shape,
    since: isoTimestamp.optional().meta({
      description:
        "Where to begin without a cursor, by the time of recording. Left out: as far back as events are kept.",
    }),
  }),
  success: 200,
  answer: z.object({
    items: z.array(ocsfView),
    cursor: z.string().meta({ description: "Ask again with it, also when this page was empty." }),
    isCaughtUp: z.boolean().meta({ description: "There is nothing more for now: ask again in a while." }),
  }),
  run: async ({ admin, query }, deps) => ({
    ok: true,
    value: { body: await readOcsf(deps, admin.tenantId, query) },
  }),
});

export const eventOperations = [exportEvents];
