import { plural } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import type { Evidence } from "./report-data.ts";
import { Section } from "./report-section.tsx";

/** Says whether the custody log is complete and unchanged. */
export const CustodySection = ({ custody }: { custody: Evidence["custody"] }) => (
  <Section id="custody" title="Integrity of the custody log">
    <Verification custody={custody} />
    <p>
      {custody.records === 0
        ? "The log has no records yet, so it has no signed head."
        : custody.headSigned
          ? "The head of the log is signed with the control key, and its signature is valid."
          : "The signature of the head is not valid for any control key that this node knows."}{" "}
      {custody.head !== "" && (
        <>
          Head: <code>{custody.head}</code>.{" "}
        </>
      )}
      Compare this head with one that you stored elsewhere. This page cannot detect if someone with the
      control key replaced the complete log.
    </p>
  </Section>
);

const Verification = ({ custody }: { custody: Evidence["custody"] }) => {
  const { checked, verified, records, words } = custody;
  const [look, icon, text] = !checked
    ? (["warning", "warning", `The log was not verified here: ${words}. Run lz audit verify.`] as const)
    : !verified
      ? (["critical", "critical", `The log does not verify: ${words}.`] as const)
      : records === 0
        ? (["", "info", "The log is empty, so there is nothing to verify."] as const)
        : (["ok", "ok", `All ${plural(records, "record")} verified: ${words}.`] as const);
  return (
    <p class={`strip ${look}`}>
      <Icon name={icon} />
      {text}
    </p>
  );
};
