const EXPORT_PATH = "/v1/events/ocsf";

/** Explains how to set up a SIEM that reads events with a cursor. */
export const SiemExport = ({ origin }: { origin: string }) => (
  <section class="card" aria-labelledby="siem-title">
    <h2 id="siem-title">SIEM export (OCSF)</h2>
    <p>
      Exports events in the format of the Open Cybersecurity Schema Framework (OCSF), in the order in which
      they were recorded. Incidents become Detection Findings, and containment changes become Remediation
      Activities. First, create an API key that can only read events. Only a signed-in administrator can
      create the key, and only this response shows the key (
      <a href="/reference#api-keys">API keys in the reference</a>):
    </p>
    <pre class="command" tabindex={0}>
      <code>{`curl -X POST "${origin}/v1/api-keys" \\
  -H "Authorization: Bearer $LZ_SESSION" -H "Idempotency-Key: siem-$(date +%s)" \\
  -H "Content-Type: application/json" \\
  -d '{"name":"SIEM","role":"viewer","scopes":["read-events"],"days":90}'`}</code>
    </pre>
    <p>Then read the events:</p>
    <pre class="command" tabindex={0}>
      <code>{`curl -H "Authorization: Bearer $LZ_API_KEY" "${origin}${EXPORT_PATH}?limit=500"`}</code>
    </pre>
    <ul class="plain-list">
      <li>
        Every response has a <code>cursor</code>. Store it and send the next request with{" "}
        <code>?cursor=…</code>. No event is repeated or left out.
      </li>
      <li>
        To start in the past, use <code>?since=2026-11-01T00:00:00.000Z</code>. Events are kept as long as
        telemetry.
      </li>
      <li>Events appear ten seconds after they were recorded, so that a cursor never skips an event.</li>
      <li>
        The <a href="/reference">API reference</a> describes the requests and responses.
      </li>
    </ul>
  </section>
);
