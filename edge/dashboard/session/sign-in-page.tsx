import { Icon } from "../components/icon.tsx";
import { Layout } from "../components/layout.tsx";
import { LOGO } from "../static/static-files.ts";

type SignIn = {
  address: string;
  /** They had a session. */
  ended: boolean;
  /** `switching`: signed in, and wants another organisation. `no-organisation`: signed in without an active one. */
  who: "stranger" | "switching" | "no-organisation";
  /** They sent a form without one. */
  sent: boolean;
  nowMs: number;
};

/** For those without a session. */
export const signInPage = (page: SignIn) => (
  <Layout frame={{ title: "Sign in", nowMs: page.nowMs }}>
    <div class="centre">
      <img src={LOGO.url} width="56" height="56" alt="" />
      <h1>See and govern the AI that runs on your own machines</h1>
      {page.sent && (
        <p class="strip warning" role="status">
          <Icon name="warning" />
          Nothing was changed: there was no session any more when the form arrived.
        </p>
      )}
      <p>
        {page.who === "switching"
          ? "Choose another organisation where you sign in. Until you have, you stay in this one."
          : page.who === "no-organisation"
            ? "You are signed in, and no organisation is active in your session. Choose one where you sign in."
            : page.ended
              ? "Your session has ended. Sign in again and you come back to where you were."
              : "Sign in with your organisation's account to continue."}
      </p>
      <p>
        <a class="button primary" href={page.address}>
          {page.who === "stranger" ? "Sign in" : "Choose an organisation"}
        </a>
      </p>
    </div>
  </Layout>
);
