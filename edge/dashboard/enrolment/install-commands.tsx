import type { MadeToken } from "../../control/credentials/manage-enrolment-tokens.ts";
import { plural } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Moment } from "../components/time.tsx";

/** Commands for one operating system, in the order in which the user runs them. No command contains the token. */
type System = {
  name: string;
  files: string;
  fetch: (base: string) => string;
  /** Command that computes the checksum of a manually copied file. */
  check: string;
  binary: string;
  enrol: (origin: string) => string;
  tokenInput: string;
  install: string;
};

const unix = (system: "linux" | "darwin", sums: string) => ({
  fetch: (base: string) => `from=${base}
file=lz-agent-${system}-$(uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')
curl -fL --remote-name-all "$from/$file" "$from/SHA256SUMS" &&
  grep " $file\\$" SHA256SUMS | ${sums} -c &&
  chmod +x "$file" && mv "$file" lz-agent`,
  check: `${sums} lz-agent && chmod +x lz-agent`,
  binary: "lz-agent",
  enrol: (origin: string) => `sudo ./lz-agent enroll --url ${origin} --employee EMPLOYEE --token-file -`,
  tokenInput: "The command waits for the token. Paste it, press Enter, then Ctrl+D.",
  install: "sudo ./lz-agent service install",
});

const SYSTEMS: readonly System[] = [
  { name: "Linux", files: "lz-agent-linux-x64 or lz-agent-linux-arm64", ...unix("linux", "sha256sum") },
  {
    name: "macOS",
    files: "lz-agent-darwin-arm64 or lz-agent-darwin-x64",
    ...unix("darwin", "shasum -a 256"),
  },
  {
    name: "Windows, in PowerShell as administrator",
    files: "lz-agent-windows-x64.exe",
    fetch: (base) => `$file = 'lz-agent-windows-x64.exe'
$from = '${base}'
Invoke-WebRequest -UseBasicParsing "$from/$file" -OutFile lz-agent.exe
Invoke-WebRequest -UseBasicParsing "$from/SHA256SUMS" -OutFile SHA256SUMS
$sum = ((Select-String -Path SHA256SUMS -Pattern "  $file\`$").Line -split ' ')[0]
if ((Get-FileHash lz-agent.exe).Hash -ne $sum) { Remove-Item lz-agent.exe; throw 'The checksum differs.' }`,
    check: "(Get-FileHash lz-agent.exe).Hash",
    binary: "lz-agent.exe",
    enrol: (origin) => `$env:LZ_ENROLL_TOKEN = Read-Host 'Enrolment token'
.\\lz-agent.exe enroll --url ${origin} --employee EMPLOYEE
Remove-Item Env:LZ_ENROLL_TOKEN`,
    tokenInput: "Run the first line alone. It asks for the token.",
    install: ".\\lz-agent.exe service install",
  },
];

const Code = ({ text }: { text: string }) => (
  <pre class="command">
    <code>{text}</code>
  </pre>
);

/** Shows a new token, and the commands that enrol a host with this token on each operating system. */
export const Commands = ({
  issued,
  origin,
  downloadUrl,
}: {
  issued: MadeToken;
  origin: string;
  downloadUrl: string | undefined;
}) => (
  <section class="card" aria-labelledby="commands-title">
    <h2 id="commands-title">Enrolment token</h2>
    <p class="strip warning">
      <Icon name="warning" />
      <span>
        Copy the token now, because it is shown only once. It can enrol {plural(issued.uses, "host")} until{" "}
        <Moment at={issued.expiresAt} />.
      </span>
    </p>
    <Code text={issued.token} />
    <p class="muted small">
      The commands below do not contain the token, because other users of the host could see it in the process
      list or in the shell history. To enrol many hosts with a script, put the token into a file that only
      root can read, and use <code>--token-file FILE</code>.
    </p>
    <h2>On {issued.uses === 1 ? "the host" : "each host"}</h2>
    <p class="muted small">
      Replace <code>EMPLOYEE</code> with the id of the employee who uses the host. Without{" "}
      <code>--employee</code>, the agent uses the name of the user who runs the command.
      {downloadUrl === undefined && (
        <>
          {" "}
          No download address is configured (<code>LZ_AGENT_DOWNLOAD_URL</code>). Ask your administrator for
          the agent, or build it: <code>bun run build:agent --all</code> writes the binaries and{" "}
          <code>SHA256SUMS</code> to <code>dist/</code>.
        </>
      )}
    </p>
    {SYSTEMS.map((system) => (
      <Steps system={system} downloadUrl={downloadUrl} origin={origin} />
    ))}
    <p class="muted small">
      The host appears under <a href="/assets">hosts</a> when it has enrolled. Its engines appear with the
      first heartbeat.
    </p>
  </section>
);

type Source = { downloadUrl: string | undefined; origin: string };

const Steps = ({ system, downloadUrl, origin }: { system: System } & Source) => (
  <details class="system" open={system.name === "Linux"}>
    <summary>{system.name}</summary>
    <ol class="steps-to-enrol">
      <li>
        {downloadUrl === undefined ? (
          <>
            <p>
              Copy <code>{system.files}</code> to the host as <code>{system.binary}</code>. Compare its
              SHA-256 checksum with <code>SHA256SUMS</code>.
            </p>
            <Code text={system.check} />
          </>
        ) : (
          <>
            <p>Download the agent and verify its checksum.</p>
            <Code text={system.fetch(downloadUrl)} />
          </>
        )}
      </li>
      <li>
        <p>Enrol the host. {system.tokenInput}</p>
        <Code text={system.enrol(origin)} />
      </li>
      <li>
        <p>Install the agent as a service.</p>
        <Code text={system.install} />
      </li>
    </ol>
  </details>
);
