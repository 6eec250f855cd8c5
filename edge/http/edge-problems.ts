/** Error codes of the edge for missing routes, unavailable features and faults. Refusals have separate codes. */
export const EDGE_PROBLEMS = {
  "edge.no-route": { status: 404, title: "There is nothing at this address" },
  "edge.not-served": { status: 404, title: "The role of this node does not serve this address" },
  "edge.no-enrolment": {
    status: 404,
    title: "This node has no enrol key. Send enrolments to a node that has one",
  },
  "edge.no-polls": {
    status: 404,
    title: "Long polls are disabled on this node. Agents receive directives with heartbeats",
  },
  "edge.no-catalogue": { status: 404, title: "No catalogue is configured on this control plane" },
  "edge.unavailable": { status: 503, title: "The service is temporarily unavailable. Try again shortly" },
} as const satisfies Record<`edge.${string}`, { status: 404 | 503; title: string }>;

export type EdgeProblemCode = keyof typeof EDGE_PROBLEMS;
