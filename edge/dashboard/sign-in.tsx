import { Layout } from "./layout.tsx";
import { MARK } from "./static-files.ts";

/** For those without a session. `ended`: they had one. */
export const signInPage = (page: { address: string; ended: boolean; nowMs: number }) => (
  <Layout frame={{ title: "Sign in", nowMs: page.nowMs }}>
    <div class="centre">
      <img src={MARK.url} width="56" height="56" alt="" />
      <h1>See and govern the AI that runs on your own machines</h1>
      <p>
        {page.ended
          ? "Your session has ended. Sign in again and you come back to where you were."
          : "Sign in with your organisation's account to continue."}
      </p>
      <p>
        <a class="button primary" href={page.address}>
          Sign in
        </a>
      </p>
    </div>
  </Layout>
);
