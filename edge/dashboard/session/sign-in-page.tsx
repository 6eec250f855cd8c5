import { Icon } from "../components/icon.tsx";
import { Layout } from "../components/layout.tsx";
import { LOGO } from "../static/static-files.ts";

type SignIn = {
  address: string;
  /** True if the user had a session before. */
  ended: boolean;
  /**
   * `switching`: the user is signed in and wants to change the organisation. `no-organisation`: the user is
   * signed in, but no organisation is active.
   */
  user: "signed-out" | "switching" | "no-organisation";
  /** True if the user submitted a form without a valid session. */
  formLost: boolean;
  nowMs: number;
};

/** The sign-in page. It links to the identity provider. */
export const signInPage = (page: SignIn) => (
  <Layout frame={{ title: "Sign in", nowMs: page.nowMs }}>
    <div class="centre">
      <img src={LOGO.url} width="56" height="56" alt="" />
      <h1>See and govern the AI that runs on your own machines</h1>
      {page.formLost && (
        <p class="strip warning" role="status">
          <Icon name="warning" />
          Nothing was changed, because your session had ended when you sent the form. Sign in, then send it
          again.
        </p>
      )}
      <p>
        {page.user === "switching"
          ? "Choose another organisation on the sign-in page. Until then, you stay in the current one."
          : page.user === "no-organisation"
            ? "You are signed in, but no organisation is active in your session. Choose one on the sign-in page."
            : page.ended
              ? "Your session has ended. Sign in again to return to the page where you were."
              : "Sign in with your organisation's account to continue."}
      </p>
      <p>
        <a class="button primary" href={page.address}>
          {page.user === "signed-out" ? "Sign in" : "Choose an organisation"}
        </a>
      </p>
    </div>
  </Layout>
);
