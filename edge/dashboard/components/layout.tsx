import type { Child } from "hono/jsx";
import { mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { LOGO, SCRIPT_URL, SCRIPTS, STYLE } from "../static/static-files.ts";
import { Icon, type IconName } from "./icon.tsx";
import { exact } from "./time.tsx";

export const PLACES = [
  { name: "overview", href: "/", label: "Overview" },
  { name: "incidents", href: "/incidents", label: "Incidents" },
  { name: "assets", href: "/assets", label: "Assets" },
  { name: "inventory", href: "/inventory", label: "AI inventory" },
  { name: "employees", href: "/employees", label: "Employees" },
  { name: "custody", href: "/custody", label: "Custody" },
  { name: "report", href: "/report", label: "Report" },
  { name: "approvals", href: "/approvals", label: "Approvals" },
  { name: "policy", href: "/policy", label: "Policy" },
  { name: "integrations", href: "/integrations", label: "Integrations" },
  { name: "settings", href: "/settings", label: "Settings" },
] as const;

export type Place = (typeof PLACES)[number]["name"];

export type Frame = {
  title: string;
  /** Absent on pages that belong to nobody: sign-in, failures before a session is known. */
  admin?: Admin | undefined;
  place?: Place | undefined;
  nowMs: number;
  /** Polls and swaps its live regions. */
  live?: boolean | undefined;
  /** Where to poll, for an answer to a form: its own address takes only POST. */
  pollPath?: string | undefined;
  /** Without script: reloads itself. Never on a page with a form somebody may be filling in. */
  reloadSeconds?: number | undefined;
};

/** The frame of every page: head, skip link, navigation, who is signed in, and how old the picture is. */
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
        Skip to the content
      </a>
      <Header frame={frame} />
      <main id="main" tabindex={-1}>
        {children}
      </main>
      <footer>
        <p>
          LifecycleZero shows what agents reported and what they proved. A source that is quiet is not a
          source that is clean.
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
            {PLACES.map((place) => (
              <li>
                <a href={place.href} {...(place.name === frame.place && { "aria-current": "page" })}>
                  {place.label}
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
        {admin.impersonated ? " · impersonated, looks only" : mayRespond(admin) ? "" : " · looks only"}
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

/** No number stands without its age: this line ticks, and says so when the connection is lost. */
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
        <noscript>Reload the page to read it again.</noscript>
      </p>
      <p class="hidden" role="status" id="freshness-status" />
    </div>
  );
};

/** `icon`: a check mark only where nothing is good news; where nothing is known it would be a lie. */
export const Empty = ({ title, icon, children }: { title: string; icon?: IconName; children?: Child }) => (
  <div class="empty">
    <Icon name={icon ?? "info"} />
    <p class="empty-title">{title}</p>
    {children && <p class="muted">{children}</p>}
  </div>
);
