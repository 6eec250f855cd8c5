import type { Child } from "hono/jsx";
import type { Admin } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";
import { changeKey, csrfToken } from "../session/csrf.ts";

/** What a form carries that nobody types: whose it is and, where it changes something once, which change it is. */
export type Hidden = Readonly<Record<string, string>>;

/** For a form about `about` as it stands now: sent twice it is one change, see {@link changeKey}. */
export async function hiddenFor(
  admin: Admin,
  about: readonly (string | number)[],
  deps: Deps,
): Promise<Hidden> {
  const [csrf, key] = await Promise.all([csrfToken(admin, deps), changeKey(admin, about, deps)]);
  return { csrf, key };
}

/** A form that changes something: posted to this very site, sent once, and kept while the page around it is read anew. */
export const ChangeForm = (form: {
  action: string;
  hidden: Hidden;
  look?: "plain-form" | "act" | "filter" | "bulk" | "inline";
  id?: string;
  /** Names the form among its siblings, so that what is typed into it is not lost. */
  name?: string;
  children: Child;
}) => (
  <form
    class={form.look ?? "plain-form"}
    id={form.id}
    method="post"
    action={form.action}
    data-key={form.name}
    data-once
  >
    {Object.entries(form.hidden).map(([name, value]) => (
      <input type="hidden" name={name} value={value} />
    ))}
    {form.children}
  </form>
);

/** Why somebody sees no form; empty when they may send one. */
export function whyNoForm(
  admin: Admin,
  allowed: boolean,
  deps: Pick<Deps, "controlKey">,
  who: string,
): string {
  if (admin.impersonated) return "An impersonated session looks only: it changes nothing.";
  if (!allowed) return `Your role looks only: ${who}.`;
  return deps.controlKey ? "" : "This node holds no control key: it only reads.";
}
