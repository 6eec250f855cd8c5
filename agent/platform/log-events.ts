/**
 * Every event that the agent logs, with its message. Operators filter by event name, so a name stays the same
 * even if its message changes. docs/agent.md lists the events with their levels and fields.
 */
export const LOG_EVENTS = {
  "agent.started": "The agent is running",
  "agent.stopped": "The agent has stopped",
  "agent.not-started": "The agent could not start",
  "agent.failed": "The agent failed",

  "identity.copied": "This disk was copied from another machine; its identity is not used",
  "identity.not-saved": "Could not save the identity file; the next session sends the data again",
  "fingerprint.not-saved": "Could not save the hardware fingerprint; the next start tries again",
  "copy.not-reported": "The edge is too old to accept a report of a copied disk; update the edge",
  "sequence.not-saved": "Could not save the heartbeat sequence number",
  "sequence.damaged": "The sequence file is damaged; numbers continue from the clock",

  "enrolment.retried": "The control plane did not accept the enrolment request; retrying",
  "asset.enrolled": "This machine is now enrolled as a separate asset",
  "asset.revoked": "This asset was revoked; heartbeats are not sent",
  "asset.copied": "This disk was copied from another machine; heartbeats are not sent",

  "settings.changed": "The tenant's settings have changed",
  "settings.refused": "The new tenant settings were refused; the current settings stay in use",
  "control-keys.rotated": "The control plane rotated its keys",
  "control-keys.refused": "New control keys were refused; the pinned keys stay in use",

  "control-plane.online": "The control plane accepts heartbeats",
  "control-plane.away": "The control plane is unreachable; heartbeats wait in the spool",
  "edge.outdated": "The edge is older than this agent and rejects new request members; update the edge",
  "clock.skewed":
    "This host's clock differs from the control plane's; signatures and reports use the control plane's time",
  "long-poll.unsupported": "The edge does not support long polls; directives arrive with heartbeat responses",

  "scan.failed": "The scan failed; the heartbeat repeats the engines of the last scan",
  "heartbeat.rejected": "The control plane rejected this heartbeat permanently",
  "heartbeat.response-invalid": "The response to a heartbeat does not match the expected schema",
  "heartbeat.dropped": "A heartbeat was dropped from the spool before it was sent",
  "heartbeat.not-deleted": "Could not delete a heartbeat that was sent",
  "spool.disk-failed": "The spool cannot write to its disk; heartbeats wait in memory",
  "spool.disk-recovered": "The spool can write to its disk again",
  "spool.count-lost": "The count of dropped heartbeats was lost; the new count starts at 0",
  "spool.count-not-saved": "Could not save the count of dropped heartbeats",

  "catalogue.updated": "The catalogue was updated",
  "catalogue.refused": "A catalogue update was refused; the current catalogue stays in use",
  "catalogue.not-fetched": "Could not fetch the catalogue",
  "catalogue.not-saved": "Could not save the catalogue; the next start fetches it again",
  "catalogue.stored-refused": "The stored catalogue failed its checks and is not used",
  "catalogue.stored-outdated": "The stored catalogue is not newer than the built-in one and is not used",

  "directive.applied": "A directive was applied",
  "directive.failed": "A directive could not be applied",
  "directive.refused": "A directive failed verification and was refused",
  "directive.foreign": "A directive for another machine was refused; two machines use this identity",
  "directive.outdated": "A directive is not newer than the last applied one",
  "release-code.applied": "A release code ended the isolation",
  "release-code.refused": "A release code was refused",
  "containment.failed": "Containment failed unexpectedly",
  "containment.repaired": "The isolation was modified; the agent restored it",
  "containment.state-recovered":
    "The containment state is lost; the isolation stays in force until a signed directive ends it",
  "containment.state-lost": "The containment state is lost; the agent waits for a directive",
  "containment.report-unsigned": "Could not sign the containment report",
  "notice.not-shown": "Could not show the notice to the users of this host",
  "state-file.not-saved": "Could not save a state file; its value stays in memory",
  "state-file.altered": "A state file was removed or modified on disk; the agent wrote it again",
  "stopped-processes.lost": "The list of stopped processes cannot be read",
  "control-addresses.not-read": "Could not read the saved addresses of the control plane",
  "boot-rules.not-removed": "Could not remove the firewall rules for the next boot",

  "service.connected": "The service is connected to the service control manager",
  "service.stop-requested": "The system requested a stop of the service",
  "service.status-refused": "The service control manager refused a status report",
} as const;

export type LogEvent = keyof typeof LOG_EVENTS;
