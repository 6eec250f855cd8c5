import type { MadeToken } from "../../control/credentials/manage-enrolment-tokens.ts";
import { plural } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Moment } from "../components/time.tsx";

/** What is run on a host of one system, in the order it is run. No command has the token in it. */
type System = {
  name: string;
  files: string;
  fetch: (base: string) => string;
  /** Computes the checksum of a file that was brought by hand. */
  check: string;
  binary: string;
  enrol: (origin: string) => string;
  hand: string;
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
  hand: "It waits for the token: paste it, press Enter and then Ctrl+D.",
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
    hand: "Run the first line by itself: it asks for the token.",
    install: ".\\lz-agent.exe service install",
  },
];

const Code = ({ text }: { text: string }) => (
  <pre class="command">
    <code>{text}</code>
  </pre>
);

/** The token once, and what is done with it on a host, system by system. */
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
    <h2 id="commands-title">The token</h2>
    <p class="strip warning">
      <Icon name="warning" />
      <span>
        It is shown this once. It lets in {plural(issued.uses, "host")} until <Moment at={issued.expiresAt} />
        .
      </span>
    </p>
    <Code text={issued.token} />
    <p class="muted small">
      It is in none of the commands below, for others on the host may see those in a list of processes and in
      the shell's history. For a roll-out put it in a file that only root reads:{" "}
      <code>--token-file FILE</code>.
    </p>
    <h2>On {issued.uses === 1 ? "the host" : "each host"}</h2>
    <p class="muted small">
      For <code>EMPLOYEE</code> put who works there, as you name people; without <code>--employee</code> it is
      the user that enrols.
      {downloadUrl === undefined && (
        <>
          {" "}
          This node does not know where the agent lies (<code>LZ_AGENT_DOWNLOAD_URL</code>): take it from
          whoever built it. <code>bun run build:agent --all</code> writes the binaries and{" "}
          <code>SHA256SUMS</code> to <code>dist/</code>.
        </>
      )}
    </p>
    {SYSTEMS.map((system) => (
      <Steps system={system} downloadUrl={downloadUrl} origin={origin} />
    ))}
    <p class="muted small">
      The host appears under <a href="/assets">assets</a> as soon as it has enrolled, and its engines with the
      first heartbeat.
    </p>
  </section>
);

type Place = { downloadUrl: string | undefined; origin: string };

const Steps = ({ system, downloadUrl, origin }: { system: System } & Place) => (
  <details class="system" open={system.name === "Linux"}>
    <summary>{system.name}</summary>
    <ol class="steps-to-enrol">
      <li>
        {downloadUrl === undefined ? (
          <>
            <p>
              Copy <code>{system.files}</code> to the host as <code>{system.binary}</code>, and compare its
              SHA-256 with the one in <code>SHA256SUMS</code>.
            </p>
            <Code text={system.check} />
          </>
        ) : (
          <>
            <p>Take the agent and check it: a file that differs from its checksum is not used.</p>
            <Code text={system.fetch(downloadUrl)} />
          </>
        )}
      </li>
      <li>
        <p>Enrol. {system.hand}</p>
        <Code text={system.enrol(origin)} />
      </li>
      <li>
        <p>Keep it running.</p>
        <Code text={system.install} />
      </li>
    </ol>
  </details>
);
