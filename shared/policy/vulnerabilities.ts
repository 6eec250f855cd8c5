/**
 * Known vulnerabilities of engines, as of 2026-11. `engine` is a catalogue id. A version is affected from
 * `from` (inclusive, absent for the first version) to `fixed` (exclusive). A test checks the format of each
 * entry.
 */
export type Vulnerability = {
  id: string;
  engine: string;
  from?: string;
  fixed: string;
  isCritical: boolean;
  /** Impact as a short noun phrase. It is shown in parentheses after the id. */
  summary: string;
  source: string;
};

const nvd = (id: string) => `https://nvd.nist.gov/vuln/detail/${id}`;
const entry = (
  engine: string,
  id: string,
  range: { from?: string; fixed: string },
  isCritical: boolean,
  summary: string,
): Vulnerability => ({ id, engine, ...range, isCritical, summary, source: nvd(id) });

export const VULNERABILITIES: readonly Vulnerability[] = [
  entry("ollama", "CVE-2024-28224", { fixed: "0.1.29" }, false, "access to its API through DNS rebinding"),
  entry(
    "ollama",
    "CVE-2024-37032",
    { fixed: "0.1.34" },
    true,
    "file writes outside its folder, which allow code execution",
  ),
  entry("ollama", "CVE-2024-39720", { fixed: "0.1.46" }, false, "crash caused by a crafted model file"),
  entry(
    "ollama",
    "CVE-2024-39722",
    { fixed: "0.1.46" },
    false,
    "disclosure of which files exist on the host",
  ),
  entry(
    "ollama",
    "CVE-2024-45436",
    { fixed: "0.1.47" },
    true,
    "file writes outside its folder by a crafted archive",
  ),
  entry("ollama", "CVE-2026-7482", { fixed: "0.17.1" }, true, "disclosure of its memory through its API"),
  entry(
    "vllm",
    "CVE-2025-32444",
    { from: "0.6.5", fixed: "0.8.5" },
    true,
    "code execution through its Mooncake transfer",
  ),
  entry(
    "vllm",
    "CVE-2025-47277",
    { from: "0.6.5", fixed: "0.8.5" },
    true,
    "code execution through its inter-node transfer",
  ),
  entry(
    "vllm",
    "CVE-2025-48944",
    { from: "0.8.0", fixed: "0.9.0" },
    false,
    "crash caused by one malformed request",
  ),
  entry(
    "vllm",
    "CVE-2025-48956",
    { from: "0.1.0", fixed: "0.10.1.1" },
    false,
    "crash caused by one large header",
  ),
  entry(
    "vllm",
    "CVE-2025-59425",
    { fixed: "0.11.0" },
    false,
    "disclosure of its API key through response times",
  ),
  entry(
    "vllm",
    "CVE-2025-62164",
    { from: "0.10.2", fixed: "0.11.1" },
    true,
    "memory corruption by crafted embeddings",
  ),
  entry(
    "llama-cpp-python",
    "CVE-2024-34359",
    { from: "0.2.30", fixed: "0.2.72" },
    true,
    "code execution by the chat template of a model",
  ),
  entry("llama-cpp", "CVE-2024-42479", { fixed: "b3561" }, true, "memory writes through its RPC server"),
  entry("sglang", "CVE-2026-3059", { fixed: "0.5.10" }, true, "code execution through its message broker"),
  entry("sglang", "CVE-2026-3060", { fixed: "0.5.10" }, true, "code execution through its message broker"),
  entry("localai", "CVE-2024-5182", { fixed: "2.16.0" }, false, "file deletion outside its folder"),
  entry(
    "open-webui",
    "CVE-2025-64496",
    { fixed: "0.6.35" },
    false,
    "theft of sign-in tokens by a hostile model server",
  ),
];
