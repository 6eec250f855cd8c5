import type { Child } from "hono/jsx";
import type { Admin } from "../../auth/permissions.ts";
import type { DashboardDeps } from "../deps.ts";
import { changeKey, csrfToken } from "../session/csrf.ts";

/**
 * Hidden fields of a form, by name. They include the CSRF token and the idempotency key. A form can add other
 * fields.
 */
export type Hidden = Readonly<Record<string, string>>;

/**
 * Hidden fields of a form that changes the subject named in `about`. Submitting the same form twice makes one
 * change (see {@link changeKey}).
 */
export async function hiddenFor(
  admin: Admin,
  about: readonly (string | number)[],
  deps: DashboardDeps,
): Promise<Hidden> {
  const [csrf, key] = await Promise.all([csrfToken(admin, deps), changeKey(admin, about, deps)]);
  return { csrf, key };
}

/**
 * A POST form for a change. The browser script disables the form after the first submit, and keeps the user's
 * input when the page updates.
 */
export const ChangeForm = (form: {
  action: string;
  hidden: Hidden;
  look?: "plain-form" | "act" | "filter" | "bulk" | "inline";
  id?: string;
  /** Distinguishes the form from other forms on the page, so that its input survives page updates. */
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

/** A node without the control key cannot sign custody records, so its pages have no forms. */
export const READ_ONLY_NODE =
  "This node is read-only because it has no control key. Use a node that has one. Your administrator knows its address.";

/**
 * Tells the user why a page has no form. Returns an empty text if the user is allowed to use the form.
 * `allowedRoles` is inserted into the sentence "Only … .".
 */
export function readOnlyReason(
  admin: Admin,
  allowed: boolean,
  deps: Pick<DashboardDeps, "controlKey">,
  allowedRoles: string,
): string {
  if (admin.impersonated) return "You are in an impersonated session, which cannot change anything.";
  if (!allowed) return `Your role is read-only. Only ${allowedRoles}.`;
  return deps.controlKey ? "" : READ_ONLY_NODE;
}
