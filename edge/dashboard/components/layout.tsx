import type { Child } from "hono/jsx";
import { mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { LOGO, SCRIPT_URL, SCRIPTS, STYLE } from "../static/static-files.ts";
import { Icon, type IconName } from "./icon.tsx";
import { exact } from "./time.tsx";

/** Navigation items. The path `/assets` uses the API's term, but its label is "Hosts". */
const NAV_ITEMS = [
  { name: "overview", href: "/", label: "Overview" },
  { name: "incidents", href: "/incidents", label: "Incidents" },
  { name: "assets", href: "/assets", label: "Hosts" },
  { name: "inventory", href: "/inventory", label: "AI inventory" },
  { name: "employees", href: "/employees", label: "Employees" },
  { name: "custody", href: "/custody", label: "Custody" },
  { name: "report", href: "/report", label: "Report" },
  { name: "approvals", href: "/approvals", label: "Approvals" },
  { name: "policy", href: "/policy", label: "Policy" },
  { name: "integrations", href: "/integrations", label: "Integrations" },
  { name: "settings", href: "/settings", label: "Settings" },
] as const;

type NavItem = (typeof NAV_ITEMS)[number]["name"];

export type Frame = {
  title: string;
  /**
   * The signed-in user. Absent on pages without a session: the sign-in page, and error pages before
   * authentication.
   */
  admin?: Admin | undefined;
  /** The navigation item that is marked as current. */
  nav?: NavItem | undefined;
  nowMs: number;
  /** If true, the browser script polls this page and updates the regions marked with `data-live`. */
  live?: boolean | undefined;
  /**
   * Path to poll. Default: the path of the page. The response to a form must set another path, because the
   * form's own path accepts only POST.
   */
  pollPath?: string | undefined;
  /**
   * Reload interval in seconds for browsers that do not run the script. Never set on a page with a form,
   * because a reload would discard the input.
   */
  reloadSeconds?: number | undefined;
};

/** The frame of every page: document head, skip link, navigation, signed-in user, and age of the data. */
export const Layout = ({ frame, children }: { frame: Frame; children: Child }) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="robots" content="noindex" />
      <title>{`${frame.title} · LifecycleZero`}</title>
      <link rel="icon" type="image/svg+xml" href={LOGO.url} />
      <link rel="stylesheet" href={STYLE.url} />
      {frame.admin && SCRIPTS.map(({ url }) => <link rel="modulepreload" href={url} />)}
      {frame.admin && <script type="module" src={SCRIPT_URL} />}
      {frame.reloadSeconds && (
        <noscript>
          <meta http-equiv="refresh" content={String(frame.reloadSeconds)} />
        </noscript>
      )}
    </head>
    <body data-poll={frame.pollPath}>
      <a class="skip" href="#main">
        Skip to main content
      </a>
      <Header frame={frame} />
      <main id="main" tabindex={-1}>
        {children}
      </main>
      <footer>
        <p>
          LifecycleZero shows what agents reported and proved. If a host or a source does not report, this
          does not mean that no AI runs there.
        </p>
      </footer>
    </body>
  </html>
);

const Header = ({ frame }: { frame: Frame }) => (
  <header class="top">
    <div class="bar-inner">
      <a class="brand" href="/">
        <img src={LOGO.url} width="26" height="26" alt="" />
        LifecycleZero
      </a>
      {frame.admin && (
        <nav aria-label="Main">
          <ul>
            {NAV_ITEMS.map((item) => (
              <li>
                <a href={item.href} {...(item.name === frame.nav && { "aria-current": "page" })}>
                  {item.label}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      )}
      {frame.admin && <Person admin={frame.admin} />}
    </div>
    {frame.live && <Freshness nowMs={frame.nowMs} />}
  </header>
);

const Person = ({ admin }: { admin: Admin }) => (
  <div class="person">
    <p>
      <bdi class="clip">{admin.userId}</bdi>
      <span class="muted">
        <bdi>{admin.tenantId}</bdi> · {admin.role}
        {admin.impersonated ? " · impersonated, read-only" : mayRespond(admin) ? "" : " · read-only"}
      </span>
    </p>
    <a class="switch" href="/sign-in?switch">
      Switch organisation
    </a>
    <form method="post" action="/sign-out">
      <button class="plain" type="submit">
        Sign out
      </button>
    </form>
  </div>
);

/**
 * The age of the data on the page. The browser script updates this line, and shows there when the connection
 * is lost.
 */
const Freshness = ({ nowMs }: { nowMs: number }) => {
  const at = new Date(nowMs).toISOString();
  return (
    <div class="freshness" id="freshness" data-state="read">
      <p>
        <span class="dot" aria-hidden="true" />
        <span id="freshness-text">
          As of{" "}
          <time datetime={at} title={exact(at)} data-time="exact">
            {exact(at)}
          </time>
        </span>{" "}
        <noscript>Reload the page to update it.</noscript>
      </p>
      <p class="hidden" role="status" id="freshness-status" />
    </div>
  );
};

/**
 * Text in place of an empty list. Use the icon `ok` only if an empty list is good news. Do not use it if the
 * data is unknown.
 */
export const Empty = ({ title, icon, children }: { title: string; icon?: IconName; children?: Child }) => (
  <div class="empty">
    <Icon name={icon ?? "info"} />
    <p class="empty-title">{title}</p>
    {children && <p class="muted">{children}</p>}
  </div>
);
