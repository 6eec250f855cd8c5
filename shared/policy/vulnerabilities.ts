/**
 * Known vulnerabilities of engines, as of 2026-11. `engine` is a catalogue id. Affected: `from` (included, the
 * first version when absent) up to `fixed` (excluded). Adding one is adding an entry; the tests hold its form.
 */
export type Vulnerability = {
  id: string;
  engine: string;
  from?: string;
  fixed: string;
  isCritical: boolean;
  /** What an attacker gains, in a few words that go on after "known for". */
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
  entry("ollama", "CVE-2024-28224", { fixed: "0.1.29" }, false, "access to its API by DNS rebinding"),
  entry(
    "ollama",
    "CVE-2024-37032",
    { fixed: "0.1.34" },
    true,
    "files written outside of its folder, and code run by that",
  ),
  entry("ollama", "CVE-2024-39720", { fixed: "0.1.46" }, false, "a crash by a crafted model file"),
  entry("ollama", "CVE-2024-39722", { fixed: "0.1.46" }, false, "telling which files exist on the host"),
  entry(
    "ollama",
    "CVE-2024-45436",
    { fixed: "0.1.47" },
    true,
    "files written outside of its folder by a crafted archive",
  ),
  entry(
    "ollama",
    "CVE-2026-7482",
    { fixed: "0.17.1" },
    true,
    "its memory read by anybody who reaches its API",
  ),
  entry(
    "vllm",
    "CVE-2025-32444",
    { from: "0.6.5", fixed: "0.8.5" },
    true,
    "code run through its Mooncake transfer",
  ),
  entry(
    "vllm",
    "CVE-2025-47277",
    { from: "0.6.5", fixed: "0.8.5" },
    true,
    "code run through its transfer between nodes",
  ),
  entry(
    "vllm",
    "CVE-2025-48944",
    { from: "0.8.0", fixed: "0.9.0" },
    false,
    "a crash by one malformed request",
  ),
  entry("vllm", "CVE-2025-48956", { from: "0.1.0", fixed: "0.10.1.1" }, false, "a crash by one large header"),
  entry("vllm", "CVE-2025-59425", { fixed: "0.11.0" }, false, "its API key guessed by timing"),
  entry(
    "vllm",
    "CVE-2025-62164",
    { from: "0.10.2", fixed: "0.11.1" },
    true,
    "memory corrupted by crafted embeddings",
  ),
  entry(
    "llama-cpp-python",
    "CVE-2024-34359",
    { from: "0.2.30", fixed: "0.2.72" },
    true,
    "code run by the chat template of a model",
  ),
  entry("llama-cpp", "CVE-2024-42479", { fixed: "b3561" }, true, "memory written through its RPC server"),
  entry("sglang", "CVE-2026-3059", { fixed: "0.5.10" }, true, "code run through its message broker"),
  entry("sglang", "CVE-2026-3060", { fixed: "0.5.10" }, true, "code run through its message broker"),
  entry("localai", "CVE-2024-5182", { fixed: "2.16.0" }, false, "files deleted outside of its folder"),
  entry(
    "open-webui",
    "CVE-2025-64496",
    { fixed: "0.6.35" },
    false,
    "sign-in tokens taken by a hostile model server",
  ),
];
