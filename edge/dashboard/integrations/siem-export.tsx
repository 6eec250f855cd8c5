const EXPORT_PATH = "/v1/events/ocsf";

/** Explains how to set up a SIEM that reads events with a cursor. */
export const SiemExport = ({ origin }: { origin: string }) => (
  <section class="card" aria-labelledby="siem-title">
    <h2 id="siem-title">SIEM export (OCSF)</h2>
    <p>
      Exports incidents as Detection Findings and containment as Remediation Activities of the Open
      Cybersecurity Schema Framework, in the order in which they were recorded. First, create an API key that
      can only read events. This needs the session of an administrator. The response is the only place that
      shows the key (<a href="/reference#api-keys">API keys in the reference</a>):
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
      <li>
        Events appear ten seconds after they were recorded, so that no event is added before the position of a
        cursor.
      </li>
      <li>
        The <a href="/reference">API reference</a> describes the requests and responses.
      </li>
    </ul>
  </section>
);
