/** MITRE ATLAS (atlas.mitre.org), content release 2026.09 of 2026-09-15. Names are those of that release. */
export const ATLAS_VERSION = "2026.09";

/**
 * Techniques to which the rules refer. A test checks that the technique of each rule is listed here, and that
 * each listed technique is used.
 */
export const TECHNIQUES = {
  "AML.T0010.001": "AI Supply Chain Compromise: AI Software",
  "AML.T0010.003": "AI Supply Chain Compromise: Model",
  "AML.T0011": "User Execution",
  "AML.T0011.000": "User Execution: Unsafe AI Artifacts",
  "AML.T0015": "Evade AI Model",
  "AML.T0016.001": "Obtain Capabilities: Software Tools",
  "AML.T0016.002": "Obtain Capabilities: Generative AI",
  "AML.T0035": "AI Artifact Collection",
  "AML.T0037": "Data from Local System",
  "AML.T0040": "AI Model Inference API Access",
  "AML.T0047": "AI-Enabled Product or Service",
  "AML.T0048.004": "External Harms: AI Intellectual Property Theft",
  "AML.T0049": "Exploit Public-Facing Application",
  "AML.T0050": "Command and Scripting Interpreter",
  "AML.T0051": "LLM Prompt Injection",
  "AML.T0057": "LLM Data Leakage",
  "AML.T0074": "Masquerading",
  "AML.T0096": "AI Service API",
  "AML.T0103": "Deploy AI Agent",
  "AML.T0105": "Escape to Host",
  "AML.T0107": "Exploitation for Defense Evasion",
  "AML.T0112": "Machine Compromise",
  "AML.T0132": "Misconfigured or Publicly Exposed AI Services",
} as const;
export type Technique = keyof typeof TECHNIQUES;
