import { Layout } from "./layout.tsx";
import { MARK } from "./static-files.ts";

/** For those without a session. `ended`: they had one. `switching`: they have one and want another organisation. */
export const signInPage = (page: { address: string; ended: boolean; switching: boolean; nowMs: number }) => (
  <Layout frame={{ title: "Sign in", nowMs: page.nowMs }}>
    <div class="centre">
      <img src={MARK.url} width="56" height="56" alt="" />
      <h1>See and govern the AI that runs on your own machines</h1>
      <p>
        {page.switching
          ? "Choose another organisation where you sign in. Until you have, you stay in this one."
          : page.ended
            ? "Your session has ended. Sign in again and you come back to where you were."
            : "Sign in with your organisation's account to continue."}
      </p>
      <p>
        <a class="button primary" href={page.address}>
          {page.switching ? "Choose an organisation" : "Sign in"}
        </a>
      </p>
    </div>
  </Layout>
);
