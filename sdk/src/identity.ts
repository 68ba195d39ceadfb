// Who is seen, as far as the privacy mode lets us know. An identifier of another mode is removed.
import { attempt, makeId } from "./storage";

export interface Identity {
  session_id?: string | void;
  visitor_id?: string | void;
  user_id?: string | undefined;
}

export const identity: Identity = {};

const keep = (storage: "localStorage" | "sessionStorage", wanted: boolean): string | void =>
  attempt(() => {
    if (wanted) return (self[storage].grove_id ||= makeId());
    delete self[storage].grove_id;
  });

/** Take on the identifier of a privacy mode: `off` one per browser, `balanced` one per tab, any other none. */
export const assume = (privacy: string | undefined): void => {
  identity.visitor_id = keep("localStorage", privacy == "off");
  identity.session_id = keep("sessionStorage", privacy == "balanced");
};
